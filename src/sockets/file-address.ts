// Addresses that are no sockets': paths, names of netlink families and of message queues.
import { ListenFdsError } from '../system/errors.js';
import { type Place, badAddress } from '../text/address.js';

export type FileAddress = Place & { kind: 'file' };
export type TextAddress = Place & { kind: 'text' };

export const fileSpelling = {
  parse(text: string): FileAddress {
    if (!text.startsWith('/') || text.includes('\0')) throw badAddress(text, 'it is no absolute path');
    return { kind: 'file', path: text };
  },
  ports: false,
};

/** Nothing was passed, and nothing is known that could be opened instead. */
export function noAddress(): never {
  throw new ListenFdsError('LISTENFDS_BAD_OPTION', 'Nothing was passed, and no address was given to open');
}
