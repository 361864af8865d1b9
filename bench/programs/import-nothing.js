// The empty program: time since the process started and CPU time used, both in ms.
import 'node:http';

const { user, system } = process.cpuUsage();
console.log(performance.now(), (user + system) / 1000);
