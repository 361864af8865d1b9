import 'node:http';
import 'nothing';

const { user, system } = process.cpuUsage();
console.log(performance.now(), (user + system) / 1000);
