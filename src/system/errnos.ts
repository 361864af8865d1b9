// The errno values that are told apart here, negative as the addon gives them back: Linux's, the same on every architecture
// that Node runs on. node:os knows them too; loading it costs every start a quarter of a millisecond.

export const ENOENT = -2;
export const ESRCH = -3;
export const ENOEXEC = -8;
export const EBADF = -9;
export const EAGAIN = -11;
export const ENOMEM = -12;
export const EACCES = -13;
export const EBUSY = -16;
export const EEXIST = -17;
export const EINVAL = -22;
export const ENFILE = -23;
export const EMFILE = -24;
export const EPIPE = -32;
export const ENOSYS = -38;
export const ENODATA = -61;
export const EPROTO = -71;
export const ENOTSOCK = -88;
export const ENOPROTOOPT = -92;
/** libuv has no name for this one. */
export const EPFNOSUPPORT = -96;
export const EADDRINUSE = -98;
export const ECONNABORTED = -103;
export const ECONNRESET = -104;
export const ENOBUFS = -105;
export const ENOTCONN = -107;
/** Too many descriptors in flight, unix(7). */
export const ETOOMANYREFS = -109;
export const ECONNREFUSED = -111;

/** The kernel is short of something that others will give back. */
export const isShortage = (result: number): boolean =>
  result === ENOBUFS || result === ENOMEM || result === EMFILE || result === ENFILE || result === ETOOMANYREFS;
