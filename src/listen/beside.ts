// Binding a port that the predecessor still listens on, at another address: narrowed to the loopback interface, for example.
// Neither can wait for the other to close, so both say for a moment that they share the port (SO_REUSEPORT, socket(7)).
import type { ListenOptions, Server } from 'node:net';
import { listenOnBound } from '../open/unix-path.js';
import { AF, SOCK } from '../receive/descriptor.js';
import type { InheritedFd } from '../receive/inherited.js';
import { binding, systemError } from '../system/addon.js';
import { net } from '../system/builtins.js';
import { comparable } from '../take/take.js';
import { type Address, formatAddress } from '../text/address.js';

type Inet = Address & { kind: 'inet' };

/** @throws what bind(2) and listen(2) fail with */
export async function openBeside(
  others: readonly InheritedFd[],
  wanted: Inet,
  node: ListenOptions & { reusePort?: boolean },
): Promise<(server: Server) => void> {
  const [place] = (await comparable(wanted)) as Inet[];
  const host = place!.host === 'localhost' ? '127.0.0.1' : (place!.host ?? '::');
  return (server) => {
    const { openSocket, bindInet, listenSocket, setSocketOption, closeFd } = binding();
    const share = (fd: number, on: boolean): void => void setSocketOption(fd, 'ReusePort', Number(on));
    const fd = openSocket(net.isIPv6(host) ? AF.INET6 : AF.INET, SOCK.STREAM, 0);
    if (fd < 0) throw systemError(fd, 'socket', formatAddress(wanted));
    for (const one of others) share(one.fd, true);
    share(fd, true);
    let result = bindInet(fd, host, wanted.port, true);
    if (result === 0) result = listenSocket(fd, node.backlog!);
    for (const one of others) share(one.fd, one.description.reusePort === true);
    if (result < 0) {
      closeFd(fd);
      throw Object.assign(systemError(result, 'listen', formatAddress(wanted)), { address: host, port: wanted.port });
    }
    share(fd, node.reusePort === true);
    listenOnBound(server, fd, node, formatAddress(wanted));
  };
}
