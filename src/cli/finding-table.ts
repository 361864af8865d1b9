// What can be wrong with the descriptors of a process: every code, when it is given and what to do. findings.ts has the checks.

/** docs/inspect.md says the same. */
export const findingTable = {
  'malformed-environment': {
    when: 'A LISTEN_* variable cannot be read, or LISTEN_FDNAMES does not name as many as LISTEN_FDS announces.',
    remedy: 'look at what starts the program: a service manager never sends this, a hand-written wrapper may',
  },
  'foreign-pid': {
    when: 'The descriptors arrived, but LISTEN_PID names another process, so the program must ignore them.',
    remedy:
      "start the program without a wrapper, or with exec in it (`sh -c 'exec node app.js'`), or say LISTENFDS_PID=parent in its environment; npm start and npx close them",
  },
  'pidfd-mismatch': {
    when: 'LISTEN_PID is right, but LISTEN_PIDFDID is that of another process: a left-over that newer receivers refuse.',
    remedy: 'remove LISTEN_PIDFDID wherever LISTEN_PID is set anew',
  },
  'stale-variables': {
    when: 'LISTEN_* variables were left behind by another process; no descriptors came with them.',
    remedy: 'have the process that was activated remove them before it starts others: listenFds() does',
  },
  'missing-descriptor': {
    when: 'LISTEN_FDS announces a descriptor that is not there, or whose number is something else by now.',
    remedy:
      'find who closes it: a wrapper (npm, npx, sudo), or the program itself, whose server.close() frees the number',
  },
  'port-differs': {
    when: 'The program is configured for a port (PORT, --port) that none of its sockets has: the socket unit decides, not the program.',
    remedy:
      'change ListenStream= in the socket unit, then: systemctl daemon-reload, stop the service, restart the socket',
  },
  unused: {
    when: 'A listener was passed, and the program does not wait for connections on it: they queue up and hang.',
    remedy: 'adopt it (listen(app) finds it by name or address), or take it out of the socket unit',
  },
  'queue-full': {
    when: 'The accept queue of a listener is full: further connections are dropped or hang.',
    remedy: 'the program accepts too slowly or not at all; a larger Backlog= only helps against short bursts',
  },
  'backlog-shrunk': {
    when: "The backlog in force is smaller than the socket unit's: the program called listen(2) again with less, as Node does (511).",
    remedy: 'adopt the socket with listen() of listenfds, which keeps it',
  },
  'backlog-capped': {
    when: 'Backlog= is more than net.core.somaxconn allows.',
    remedy: 'run sysctl -w net.core.somaxconn=… (and /etc/sysctl.d), then restart the socket',
  },
  'path-missing': {
    when: 'The path of a unix listener is gone: nobody can connect any more, while everything looks well from inside.',
    remedy:
      'restart the socket, and find who removed the file (tmpwatch, a deploy script, RemoveOnStop= of another unit)',
  },
  'runtime-directory': {
    when: 'The path of a socket unit lies in RuntimeDirectory= of its service: systemd removes it at each stop, and nobody can connect any more.',
    remedy:
      'say another folder in ListenStream=, or RuntimeDirectoryPreserve=yes in the service; then restart the socket',
  },
  'path-replaced': {
    when: 'The path of a unix listener belongs to something else by now: clients reach another program.',
    remedy: 'give each program a path of its own, then restart the socket',
  },
  inheritable: {
    when: 'A passed descriptor is not close-on-exec: every program this one starts gets it and holds it open.',
    remedy: 'set FD_CLOEXEC on it at the start: listenFds() does',
  },
  'held-elsewhere': {
    when: 'Another program has the listener too: it may take connections, and keeps the port when this one ends.',
    remedy: 'end that process; if this program started it, its descriptors leaked: see inheritable',
  },
  'socket-failed': {
    when: 'The socket unit has failed: nothing listens, clients get ECONNREFUSED.',
    remedy:
      'run systemctl reset-failed on the socket and the service, then start the socket; raise TriggerLimitBurst= or StartLimitBurst=',
  },
  'socket-stopped': {
    when: 'The socket unit is not active: the sockets go when the service stops.',
    remedy: 'run systemctl enable --now on the socket unit',
  },
  'started-before-socket': {
    when: 'The service was started before its socket unit, and the program has bound the address itself: the socket unit cannot open it any more.',
    remedy:
      'stop the service and start the socket; Requires= and After= of the socket unit in the service keep the order',
  },
  'not-ready': {
    when: 'systemd waits for READY=1 (Type=notify) from a program that listens and does not say it: it is killed when TimeoutStartSec= is over.',
    remedy:
      "call serve(), or notify({ ready: true }), or say Type=exec in the service: who only calls Node's own listen() says nothing",
  },
  'unit-differs': {
    when: 'The socket unit says another address than the sockets have that were passed: it was changed after they were opened.',
    remedy: 'stop the service, restart the socket',
  },
  'reload-needed': {
    when: 'A unit file was changed since systemd has read it.',
    remedy: 'run systemctl daemon-reload, then restart the socket if it was the one changed',
  },
  'store-full': {
    when: 'The file descriptor store is full: further ones are dropped, and the sender is not told.',
    remedy: 'raise FileDescriptorStoreMax=, or remove some (FDSTOREREMOVE=1)',
  },
} as const satisfies Record<string, { when: string; remedy: string }>;

export type FindingCode = keyof typeof findingTable;

export interface Finding {
  readonly code: FindingCode;
  /** What was found. */
  readonly message: string;
  readonly remedy: string;
  readonly fd?: number;
}
