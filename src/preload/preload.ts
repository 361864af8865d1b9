// The replacements for an unmodified program. Becomes dist/preload.cjs, with the parts of the core that it needs inside:
// it runs before the program does, where one small CommonJS file is read in half the time of two large modules. In a program
// that uses the library as well there are two copies of those parts then, which work as one.
import type { Server } from 'node:net';
import { refuseConnects } from '../lend/connect.js';
import { Lender } from '../lend/lender.js';
import { type Listener, redirectDatagrams, redirectStreams } from '../lend/redirect.js';
import { isLending, keepBacklogs, lendDatagrams, lendingDone, tellAddresses } from '../lend/to-workers.js';
import { isUdp } from '../receive/descriptor.js';
import { UnservedConnections } from '../lend/unserved.js';
import { passedToPrimary } from '../receive/from-primary.js';
import { passedElsewhere, warnOfPassedElsewhere } from '../receive/not-for-us.js';
import { isLendable, tellWorkers } from '../receive/tell-workers.js';
import { net } from '../system/builtins.js';
import { isClusterWorker, mayBePrimary } from '../system/process-role.js';
import { replaceMethod } from '../system/replace.js';
import { inheritedDescriptors, refuseInactive } from '../take/take.js';
import { launcherScript } from '../text/launchers.js';
import { readVariable, warnOfMisspelt } from '../text/variables.js';
import { Life, acceptLater, lifeOptions } from './life.js';

/** A launcher cannot pass on its sockets and listens on nothing itself: its program has to hear of them. */
function isLauncher(env: NodeJS.ProcessEnv): boolean {
  const watches = process.execArgv.some((option) => option.startsWith('--watch'));
  return launcherScript(process.argv[1] ?? '') !== null || (watches && !env['WATCH_REPORT_DEPENDENCIES']);
}

/** The program binds an address that may be the manager's already. */
function warnAtFirstListen(): void {
  const { listen } = net.Server.prototype;
  const undo = replaceMethod(net.Server.prototype, 'listen', function (this: Server, ...args: unknown[]) {
    undo();
    warnOfPassedElsewhere();
    return Reflect.apply(listen, this, args) as Server;
  });
}

/** See register.ts. */
export function preload(env: NodeJS.ProcessEnv = process.env): void {
  const activation = readVariable('LISTENFDS', env);
  if (activation === 'never' || isLending() || isLauncher(env)) return;
  const options = lifeOptions(env);
  const mismatch = readVariable('LISTENFDS_MISMATCH', env);
  warnOfMisspelt(env);
  const inherited = inheritedDescriptors(activation === 'required', false);
  const isChild = env['LISTENFDS_PRIMARY'] !== undefined;
  const isWorker = inherited.length === 0 && isChild && isClusterWorker();
  if (inherited.length === 0 && activation === 'required' && !isChild) refuseInactive();
  // A worker asks for a socket by its number: Node refuses an answer with another port than the one asked for.
  const passed = isWorker ? passedToPrimary() : inherited.filter(isLendable);
  if (passed.length === 0 && !isWorker) {
    if (passedElsewhere() !== null) warnAtFirstListen();
    return;
  }

  const life = new Life(options);
  const unserved = new UnservedConnections();
  const lender = new Lender(passed, mismatch, isWorker);
  const check = (): void => {
    if (isWorker) return; // the manager knows the primary
    // A program may only have looked whether its port is free.
    setImmediate(() => {
      if (passed.every(({ taken }) => taken)) life.ready();
    });
  };
  let workersHaveIt = false;
  let addressesTold = isWorker;
  const tellThem = (): void => {
    if (addressesTold || !mayBePrimary()) return;
    addressesTold = true;
    tellAddresses(lender);
  };
  const listener: Listener = {
    opened(server, loan) {
      life.opened(server, loan !== null);
      if (!loan) return;
      unserved.opened(server, loan.inherited);
      tellThem(); // the one that node:cluster accepts with for its workers is opened here, too
      check();
    },
    closed: (server) => life.closed(server),
    lent() {
      if (!workersHaveIt) keepBacklogs(lender);
      tellThem();
      workersHaveIt = true;
      check();
    },
    accept: acceptLater,
  };
  redirectStreams(lender, listener, false);
  refuseConnects(isWorker ? [] : passed);
  if (passed.some(({ description }) => isUdp(description))) redirectDatagrams(lender, check);
  if (!isWorker) {
    tellWorkers(passed);
    lendDatagrams(lender, check);
  }
  // Done here, it is not done again by listenFds().
  lendingDone();
}
