import 'node:http';
import { listenFds } from 'listenfds';

listenFds();
const { user, system } = process.cpuUsage();
console.log(performance.now(), (user + system) / 1000);
