// The errno values, negative as system calls give them back here, that this room tells apart.
const { errno } = process.getBuiltinModule('node:os').constants;

export const EAGAIN = -errno.EAGAIN;
export const EPERM = -errno.EPERM;
export const EPIPE = -errno.EPIPE;
export const ENOTCONN = -errno.ENOTCONN;
export const ECONNREFUSED = -errno.ECONNREFUSED;
export const ECONNRESET = -errno.ECONNRESET;
export const ECONNABORTED = -errno.ECONNABORTED;
export const EPROTO = -errno.EPROTO;
export const ENOBUFS = -errno.ENOBUFS;
export const ENOMEM = -errno.ENOMEM;
export const EMFILE = -errno.EMFILE;
export const ENFILE = -errno.ENFILE;
export const EEXIST = -errno.EEXIST;

/** Too many descriptors in flight, unix(7); node:os does not know it. */
export const ETOOMANYREFS = -109;

/** The kernel is short of something that others will give back. */
export const isShortage = (result: number): boolean =>
  result === ENOBUFS || result === ENOMEM || result === EMFILE || result === ENFILE || result === ETOOMANYREFS;
