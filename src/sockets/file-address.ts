// Addresses of other things than sockets: paths, names of netlink families and of message queues.
import { type Place, badAddress } from '../text/address.js';
import { badOption } from '../text/options.js';

export type FileAddress = Place & { kind: 'file' };
export type TextAddress = Place & { kind: 'text' };

export const fileSpelling = {
  parse(text: string): FileAddress {
    if (!text.startsWith('/') || text.includes('\0')) throw badAddress(text, 'it is not an absolute path');
    return { kind: 'file', path: text };
  },
  ports: false,
};

/** Nothing was passed, and nothing is known that could be opened instead. */
export function noAddress(): never {
  throw badOption('No socket was passed to this process, and the target has no address to open one at');
}
