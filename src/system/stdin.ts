// The kind of fd 0, without the addon: by the kernel's tables of sockets, proc_pid_net(5). The preload asks at every start of every
// program, so nothing is loaded here that is not needed.

const tables = ['unix', 'tcp', 'tcp6', 'udp', 'udp6'] as const;

// unix: Num RefCount Protocol Flags Type St Inode Path; __SO_ACCEPTCON is flag 0x10000. Of the others the state is the fourth
// column: 0A is LISTEN, and 07 is a UDP socket that is not connected.
const rowOf = {
  unix: (inode: string) => new RegExp(`^\\S+ \\S+ \\S+ (\\S+) \\S+ \\S+ +${inode}(?: |$)`, 'm'),
  inet: (inode: string) => new RegExp(`^ *\\S+ \\S+ \\S+ (\\S+) \\S+ \\S+ \\S+ +\\S+ +\\S+ ${inode} `, 'm'),
};

/**
 * Whether standard input is a socket that others connect or send to. Null if it is a socket that the tables do not
 * list: it is of another network namespace, or of another family, or the tables cannot be read.
 */
export function isServiceStdin(): boolean | null {
  const fs = process.getBuiltinModule('node:fs');
  try {
    const stats = fs.fstatSync(0);
    if (!stats.isSocket()) return false;
    for (const table of tables) {
      const rows = fs.readFileSync(`/proc/self/net/${table}`, 'latin1');
      const [, state] = rowOf[table === 'unix' ? table : 'inet'](String(stats.ino)).exec(rows) ?? [];
      if (state !== undefined) return state === '00010000' || state === '0A' || state === '07';
    }
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EBADF' ? false : null; // closed
  }
}
