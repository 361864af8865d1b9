// Stream listeners on vsock(7), between a virtual machine and its host: Node refuses them, an acceptor of ours does not.
import type { Server } from 'node:net';
import { AF, SOCK } from '../receive/descriptor.js';
import { binding, systemError } from '../system/addon.js';
import { ListenFdsError } from '../system/errors.js';
import { type Address, formatAddress } from '../text/address.js';
import { acceptVsock } from './accept-from.js';

/** VMADDR_CID_ANY and VMADDR_PORT_ANY. */
const any = 0xffffffff;

/** The kernel has no vsock, or no transport for it. */
const unsupported = new Set(['EAFNOSUPPORT', 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT', 'ENODEV']);

/**
 * Opens a vsock listener of our own. Port 0 is taken for any, as for TCP.
 *
 * @throws ListenFdsError LISTENFDS_UNSUPPORTED if the kernel has no vsock
 */
export function openVsock(server: Server, address: Address & { kind: 'vsock' }, backlog: number): void {
  const fail = (result: number, syscall: string): never => {
    const error = systemError(result, syscall, formatAddress(address));
    if (!unsupported.has(error.code!)) throw Object.assign(error, { address: formatAddress(address) });
    throw new ListenFdsError('LISTENFDS_UNSUPPORTED', 'This kernel has no vsock (CONFIG_VSOCKETS)', { cause: error });
  };
  const fd = binding().openSocket(AF.VSOCK, SOCK.STREAM, 0);
  if (fd < 0) fail(fd, 'socket');
  try {
    const bound = binding().bindVsock(fd, address.cid ?? any, address.port === 0 ? any : address.port);
    if (bound < 0) fail(bound, 'bind');
    const listening = binding().listenSocket(fd, backlog);
    if (listening < 0) fail(listening, 'listen');
    const facts = binding().facts(fd);
    const port = typeof facts === 'number' ? address.port : facts.local!.port!;
    acceptVsock(server, fd, formatAddress({ ...address, port }));
  } catch (error) {
    binding().closeFd(fd);
    throw error;
  }
}
