/**
 * Milliseconds of a clock that all processes share, and that nobody sets. The core has no performance.now(): its first call loads
 * node:perf_hooks, a millisecond before the first answer.
 */
export const monotonicNow = (): number => Number(process.hrtime.bigint() / 1_000_000n);
