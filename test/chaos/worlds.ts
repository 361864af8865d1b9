// The two managers under which a trial happens, seen alike: a real systemd in its own namespaces, and `listenfds run`.
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { notify } from 'listenfds';
import { command, Run } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { freePort } from '../support/port.ts';
import { commandLine, fixture, withSystemd } from '../support/systemd.ts';
import { Family, type Member, ownNumber } from './family.ts';
import { type Behaviour, type Setting, well } from './steps.ts';

type Test = ConstructorParameters<typeof Run>[0];

export interface World {
  /** The manager's own first, then the one that the service binds. */
  readonly ports: readonly [number, number];
  readonly family: Family;
  behave(behaviour: Partial<Behaviour>): void;
  /** Each resolves when the manager is done, whatever came of it. */
  upgrade(): Promise<unknown>;
  upgradeByCommand(main: Member): Promise<unknown>;
  reload(): Promise<unknown>;
  restart(): Promise<unknown>;
  /** How many processes a SIGHUP has ended: systemd sends it also to one that starts and does not catch it yet. */
  hungUp(): number;
  /** It reads nothing and its queue is full, until thaw(). */
  freeze(): void;
  thaw(): void;
  /** What the manager does not see as it is, where the service runs and is `main`. */
  wrong(main: Member): Promise<string[]>;
  /** The end of the service, for good. @returns what was wrong with it */
  stop(): Promise<string[]>;
  log(): string;
}

const program = fixture('chaotic.js');

/** Fills the queue of a manager that does not read. */
function fill(address: string): void {
  for (;;) {
    try {
      notify({ X_OTHER: 1 }, { env: { NOTIFY_SOCKET: address } });
    } catch {
      return; // full, or it is not there yet
    }
  }
}

function goOn(manager: number): void {
  try {
    process.kill(manager, 'SIGCONT');
  } catch {
    // the trial is over
  }
}

/** Writes the file in one go: somebody may be reading it. */
function behaviourFile(path: string): (behaviour: Partial<Behaviour>) => void {
  let now = well;
  const behave = (behaviour: Partial<Behaviour>): void => {
    now = { ...now, ...behaviour };
    writeFileSync(`${path}.new`, JSON.stringify(now));
    renameSync(`${path}.new`, path);
  };
  behave({});
  return behave;
}

async function underSystemd(
  node: string,
  { stores, killMode }: Setting,
  body: (world: World) => Promise<void>,
): Promise<void> {
  const ports = [await freePort(), await freePort()] as const;
  const mark = `TRIAL=${randomUUID()}`;
  const units = {
    'web.socket': `[Unit]\nStartLimitIntervalSec=0\n[Socket]\nListenStream=127.0.0.1:${ports[0]}\nFileDescriptorName=web\nTriggerLimitIntervalSec=0\n`,
    'web.service': `[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nKillMode=${killMode}\nTimeoutStartSec=30\nTimeoutStopSec=12\n${
      stores ? 'FileDescriptorStoreMax=16\n' : ''
    }Environment=${mark} BEHAVIOUR=/run/behaviour OWN_PORT=${ports[1]}\nExecStart=${commandLine(node, program)}\nExecReload=${commandLine(node, command, 'upgrade')} $MAINPID\nExecStopPost=/bin/sh -c 'echo "ended: $EXIT_CODE $EXIT_STATUS"'\n`,
  };
  await withSystemd({ units }, async (lab) => {
    const family = new Family(mark, program, lab.pid);
    const run = (...words: string[]): Promise<unknown> => lab.run('systemctl', ...words);
    await body({
      ports,
      family,
      behave: behaviourFile(lab.path('/run/behaviour')),
      upgrade: () => run('reload', 'web.service'),
      upgradeByCommand: (main) => lab.run(node, command, 'upgrade', String(ownNumber(main.pid))),
      reload: () => run('kill', '--kill-who=main', '--signal=HUP', 'web.service'),
      restart: () => run('restart', 'web.service'),
      hungUp: () => lab.log().split('ended: killed HUP').length - 1,
      freeze() {
        process.kill(lab.pid, 'SIGSTOP');
        fill(lab.path('/run/systemd/notify'));
      },
      thaw: () => goOn(lab.pid),
      async wrong(main) {
        const found: string[] = [];
        const show = await lab.systemctl(
          'show',
          '-p',
          'MainPID,ActiveState,SubState,NFileDescriptorStore',
          'web.service',
        );
        const is = Object.fromEntries(
          show
            .trim()
            .split('\n')
            .map((line) => line.split('=') as [string, string]),
        );
        if (Number(is['MainPID']) !== ownNumber(main.pid))
          found.push(`MainPID=${is['MainPID']}, not ${ownNumber(main.pid)}`);
        if (is['ActiveState'] !== 'active') found.push(`ActiveState=${is['ActiveState']} (${is['SubState']})`);
        if (is['NFileDescriptorStore'] !== '0')
          found.push(`${is['NFileDescriptorStore']} descriptors are still stored`);
        return found;
      },
      async stop() {
        const began = performance.now();
        await lab.systemctl('stop', 'web.service');
        const took = performance.now() - began;
        const found: string[] = [];
        const show = await lab.systemctl('show', '-p', 'ActiveState,Result', 'web.service');
        if (!/ActiveState=inactive/.test(show)) found.push(show.trim().replaceAll('\n', ', '));
        if (!/Result=success/.test(show)) found.push(show.trim().replaceAll('\n', ', '));
        if (took > 12_000) found.push(`the stop took ${Math.round(took)} ms`);
        if (/timed out\. (?:Killing|Terminating)/.test(lab.log())) found.push('systemd had to kill it');
        return found;
      },
      log: () => lab.log(),
    });
  });
}

async function underRun(t: Test, node: string, body: (world: World) => Promise<void>): Promise<void> {
  const folder = temporaryFolder(t);
  const runtime = join(folder, 'run');
  const watched = join(folder, 'watched');
  for (const one of [runtime, watched]) mkdirSync(one);
  const own = await freePort();
  const mark = `TRIAL=${randomUUID()}`;
  const [name, value] = mark.split('=') as [string, string];
  const path = join(folder, 'behaviour');
  const behave = behaviourFile(path);
  const env = { [name]: value, BEHAVIOUR: path, OWN_PORT: String(own), XDG_RUNTIME_DIR: runtime };
  const args = ['-l', 'web=127.0.0.1:0', '--watch', `${watched}/*`, '--stop-timeout', '12s', '--', node, program];
  const run = new Run(t, args, { env });
  const port = await run.port();
  const family = new Family(mark, program, run.program.pid);
  const pid = run.program.pid;
  let changes = 0;
  await body({
    ports: [port, own],
    family,
    behave,
    upgrade: async () => run.signal('SIGUSR2'),
    upgradeByCommand: (main) =>
      execa(node, [command, 'upgrade', String(main.pid)], { reject: false, env, extendEnv: false }),
    reload: async () => run.signal('SIGHUP'),
    hungUp: () => 0, // it waits for READY=1
    restart: async () => writeFileSync(join(watched, 'file'), String((changes += 1))),
    freeze() {
      process.kill(pid, 'SIGSTOP');
      for (const one of readdirSync(runtime)) if (one.startsWith('listenfds-run-')) fill(join(runtime, one, 'notify'));
    },
    thaw: () => goOn(pid),
    async wrong(main) {
      // It says of each main process when it is ready, and names another when that one has taken over.
      const mains = [...run.program.stderr.matchAll(/started:? .*, pid (\d+)$|handed over to pid (\d+)$/gm)];
      const last = Number(mains.at(-1)?.[1] ?? mains.at(-1)?.[2]);
      return last === main.pid ? [] : [`listenfds run thinks that pid ${last} is the service, not ${main.pid}`];
    },
    async stop() {
      const began = performance.now();
      run.signal('SIGTERM');
      const { code, signal } = await run.program.ended;
      const took = performance.now() - began;
      const found: string[] = [];
      if (code !== 0) found.push(`listenfds run ended with ${code ?? signal}`);
      if (took > 12_000) found.push(`the stop took ${Math.round(took)} ms`);
      if (/does not stop: killed/.test(run.program.stderr)) found.push('listenfds run had to kill it');
      const left = readdirSync(runtime).filter((one) => one.startsWith('listenfds-run-'));
      if (left.length > 0) found.push(`${left.join(', ')} is left`);
      return found;
    },
    log: () => run.program.stderr,
  });
  await run.program.kill();
}

export async function inWorld(
  t: Test,
  node: string,
  setting: Setting,
  body: (world: World) => Promise<void>,
): Promise<void> {
  if (setting.manager === 'systemd') await underSystemd(node, setting, body);
  else await underRun(t, node, body);
}
