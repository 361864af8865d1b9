// What the three receivers share: a listener that looks at each message, and reports once they are complete.
export function counter(total) {
  let [got, bytes, start, cpu] = [0, 0, 0n, process.cpuUsage()];
  return (message) => {
    if (got === 0) {
      start = process.hrtime.bigint();
      cpu = process.cpuUsage();
    }
    got += 1;
    bytes += message.length;
    if (got < total) return;
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const { user, system } = process.cpuUsage(cpu);
    globalThis.gc?.();
    const { rss } = process.memoryUsage();
    console.log(JSON.stringify({ perSecond: got / seconds, cpu: (user + system) / got, bytes, rss }));
    [got, bytes] = [0, 0];
  };
}
