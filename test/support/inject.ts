// System calls with which strace(1) interferes.

/**
 * The command to put in front of a program, for tests that skip `without('strace')`.
 *
 * @param calls as `trace=` takes them: '?link,?linkat'; a call that the architecture lacks needs the question mark
 * @param what happens at each, in every thread and child: 'delay_enter=10000', in microseconds, 'signal=KILL:when=1'
 */
export function inject(calls: string, what: string): string[] {
  return ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', `inject=${calls}:${what}`];
}
