// The command line as data: help, shell completion, the man page and the parser all read this table.

export interface OptionTable {
  readonly short?: string;
  /** The name of its value; a flag has none. */
  readonly value?: string;
  readonly help: string;
  /** Completions of the value. */
  readonly complete?: 'file' | 'directory' | readonly string[];
}

export interface CommandTable {
  readonly summary: string;
  /** Behind the command's name. */
  readonly usage: string;
  readonly description: readonly string[];
  readonly options: Readonly<Record<string, OptionTable>>;
  /** A command line and what it does. */
  readonly examples: readonly (readonly [string, string])[];
  readonly exit: readonly (readonly [string, string])[];
  /** Completions behind the options. */
  readonly operands: 'command' | 'process or unit' | 'error code' | readonly string[];
}

const help: OptionTable = { short: 'h', help: 'Show this help' };

const sockets: Record<string, OptionTable> = {
  listen: {
    short: 'l',
    value: '[NAME=]ADDRESS',
    help: 'A stream socket: 3000, 127.0.0.1:3000, [::1]:3000, /run/app.sock, @abstract',
  },
  datagram: { value: '[NAME=]ADDRESS', help: 'A datagram socket: UDP or a unix path' },
  seqpacket: { value: '[NAME=]PATH', help: 'A unix socket that keeps packets apart', complete: 'file' },
  fifo: { value: '[NAME=]PATH', help: 'A named pipe', complete: 'file' },
};

export const commands = {
  run: {
    summary: 'open sockets and start a command on the first connection',
    usage: '[OPTION]... [--] COMMAND [ARGUMENT]...',
    description: [
      'Opens the sockets, waits, and starts COMMAND when the first connection arrives, with the sockets as descriptors 3, 4, … and LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES set. The sockets stay open when COMMAND exits: connections wait in the queue, and the next one starts it again.',
      'It is the service manager of COMMAND: READY=1, STATUS= and the rest of sd_notify(3) are understood, SIGHUP is passed on (a service that can, upgrades), SIGTERM ends both. Standard input, output and the terminal are those of COMMAND.',
      'For development, and for containers without systemd. On a host, leave it to systemd: listenfds unit writes the units.',
    ],
    options: {
      ...sockets,
      name: { value: 'NAME', help: 'Name of the sockets that have none of their own' },
      mode: { value: 'MODE', help: 'Access mode of sockets with a path, such as 0660; default: 0666 less the umask' },
      user: { value: 'USER', help: 'Owner of sockets with a path' },
      group: { value: 'GROUP', help: 'Group of sockets with a path' },
      accept: { help: 'Accept connections here, and start COMMAND once for each, as Accept=yes' },
      now: { help: 'Start COMMAND at once, and again whenever it fails' },
      once: { help: 'End when COMMAND ends, with its exit status' },
      watch: {
        short: 'w',
        value: 'GLOB',
        help: 'Restart COMMAND when a file that matches changes; may be repeated',
        complete: 'file',
      },
      'idle-timeout': {
        value: 'TIME',
        help: 'Let COMMAND exit when nothing was connected for so long (LISTENFDS_IDLE_TIMEOUT)',
      },
      'stop-timeout': { value: 'TIME', help: 'Kill COMMAND if it takes longer than that to stop; default 10s' },
      backlog: { value: 'N', help: 'Connections that may wait in the queue; default 4096' },
      quiet: { short: 'q', help: 'Say nothing but errors' },
      help,
    },
    examples: [
      ['listenfds run -l 3000 -- node app.js', 'Start app.js when somebody opens http://localhost:3000/'],
      ['listenfds run -l 3000 --now --watch "src/**" -- node src/app.js', 'Restart on every change, refuse nobody'],
      ['listenfds run -l web=3000 -l admin=/tmp/admin.sock -- node app.js', 'Two sockets with names'],
      ['listenfds run -l 3000 --idle-timeout 5min -- node app.js', 'Leave when idle, start again when needed'],
      ["listenfds run -l 7 --accept -- sh -c 'exec cat <&3 >&3'", 'One command for each connection, on descriptor 3'],
    ],
    exit: [
      ['that of COMMAND', 'it was stopped, or --once; a COMMAND that a signal ended ends this with the same signal'],
      ['0', 'stopped while COMMAND was not running'],
      ['1', 'a socket cannot be opened'],
      ['2', 'the command line cannot be understood'],
      ['126', 'COMMAND cannot be executed'],
      ['127', 'COMMAND was not found'],
    ],
    operands: 'command',
  },
  inspect: {
    summary: 'show the descriptors a process was given, and what is wrong with them',
    usage: '[OPTION]... [PID|UNIT]',
    description: [
      'Lists the descriptors that a process was passed and the sockets it listens on itself: number, name, kind, address, queue and backlog, close-on-exec, owner of a unix socket, and who else holds it. Then says what is wrong, each finding with a code that stays the same, and what to do about it: docs/inspect.md has them all.',
      'Without an argument it looks at the descriptors it was given itself: put it in the place of a service to see what would arrive there. Other processes need their owner or root; with UNIT (or a PID that belongs to one) systemctl is asked as well.',
    ],
    options: {
      json: { help: 'Print JSON' },
      user: { help: 'UNIT is one of your own service manager' },
      help,
    },
    examples: [
      ['listenfds inspect web.service', 'A running service'],
      ['listenfds inspect $(pgrep -f app.js)', 'A process'],
      ['systemd-socket-activate -l 3000 listenfds inspect', 'The descriptors that a program would get'],
      ['listenfds inspect --json web.socket | jq .findings', 'For a program'],
    ],
    exit: [
      ['0', 'nothing is wrong'],
      ['1', 'something is wrong: see the findings'],
      ['2', 'the command line cannot be understood, or the process or unit cannot be looked at'],
    ],
    operands: 'process or unit',
  },
  upgrade: {
    summary: 'have a running service replace itself, without a pause',
    usage: '[OPTION]... PID',
    description: [
      'Asks a process whose serve() has the upgrade option to start its successor, waits until that one is ready or has failed, and says which. Made for ExecReload=: systemctl reload then succeeds or fails with the upgrade. It takes the rights of the user that the service runs as, or root.',
    ],
    options: { help },
    examples: [['listenfds upgrade $MAINPID', 'In ExecReload= of a service unit']],
    exit: [
      ['0', 'the successor serves; the old process drains and ends'],
      ['1', 'the upgrade failed: the reason is on standard error, and the old process goes on serving'],
      ['2', 'the command line cannot be understood'],
    ],
    operands: [],
  },
  unit: {
    summary: 'write the systemd units for a command',
    usage: '[OPTION]... [--] COMMAND [ARGUMENT]...',
    description: [
      'Writes the socket and the service unit: restart limits that a storm of restarts does not trip, and every hardening directive a Node.js program can live with. Prints them, or writes them with --output or --install.',
      'The directory of the service is the current one. It runs as a user of its own (DynamicUser=) unless told otherwise.',
    ],
    options: {
      ...sockets,
      name: {
        value: 'NAME',
        help: 'Name of the units, and of the sockets that have none; default: that of the directory',
      },
      type: {
        value: 'TYPE',
        help: 'notify (waits for READY=1 from the program), notify-reload (systemd 253) or exec; default: notify where listenfds is found beside the program, else exec',
        complete: ['notify', 'notify-reload', 'exec'],
      },
      mode: { value: 'MODE', help: 'SocketMode= of sockets with a path, such as 0660; default: 0666' },
      group: { value: 'GROUP', help: 'SocketGroup= of sockets with a path' },
      upgrade: { help: 'ExecReload= starts the next version beside this one: serve() with its upgrade option' },
      preload: { help: 'Start the program with listenfds/register, for one that does not use listenfds itself' },
      template: { help: 'A template NAME@.service whose instances share the sockets, for blue/green' },
      quadlet: { value: 'IMAGE', help: 'A podman quadlet that runs COMMAND in IMAGE' },
      user: { help: 'For your own service manager (systemctl --user)' },
      'run-as': { value: 'USER', help: 'User the service runs as' },
      'private-network': { help: 'No network but the sockets that are passed' },
      'idle-timeout': { value: 'TIME', help: 'Let COMMAND exit when nothing was connected for so long' },
      watchdog: { value: 'TIME', help: 'Restart it when it does not ping for so long (serve() pings)' },
      'compile-cache': { help: 'Keep compiled code from one start to the next (Node.js 22.1 and newer)' },
      output: { short: 'o', value: 'DIRECTORY', help: 'Write the files there', complete: 'directory' },
      install: { help: 'Put them where systemd looks, and start the socket' },
      force: { help: 'Overwrite files that differ' },
      help,
    },
    examples: [
      ['listenfds unit -l 80 -- node app.js', 'Show the units'],
      ['listenfds unit --name web -l 80 --install -- node app.js', 'Install them and open the port'],
      ['listenfds unit --user -l 3000 --install -- node app.js', 'The same without root'],
      ['listenfds unit --template -l 80 -o units -- node /srv/%i/app.js', 'web@blue beside web@green'],
      ['listenfds unit --quadlet docker.io/library/node:24 -l 80 -- node /app/app.js', 'For podman'],
    ],
    exit: [
      ['0', 'written'],
      ['1', 'a file is there already and differs, or systemctl failed'],
      ['2', 'the command line cannot be understood'],
    ],
    operands: 'command',
  },
  explain: {
    summary: 'say when an error comes, and what to do about it',
    usage: 'CODE',
    description: ['Prints the row of an error of this library, of the table in docs/errors.md.'],
    options: { help },
    examples: [['listenfds explain LISTENFDS_TAKEN', 'The code stands in front of the message, or in error.code']],
    exit: [
      ['0', 'printed'],
      ['2', 'no such code'],
    ],
    operands: 'error code',
  },
  completion: {
    summary: 'print the completion script for a shell',
    usage: 'bash|zsh|fish',
    description: ['Prints a script that makes the shell complete commands and options.'],
    options: { help },
    examples: [
      ['eval "$(listenfds completion bash)"', 'In ~/.bashrc'],
      ['listenfds completion zsh >~/.zfunc/_listenfds', 'A folder of $fpath'],
      ['listenfds completion fish >~/.config/fish/completions/listenfds.fish', 'fish finds it there'],
    ],
    exit: [
      ['0', 'printed'],
      ['2', 'no such shell'],
    ],
    operands: ['bash', 'zsh', 'fish'],
  },
} as const satisfies Record<string, CommandTable>;

export type CommandName = keyof typeof commands;
