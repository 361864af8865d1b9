import { createServer } from 'node:http';
import 'systemd';

const app = (_request, response) => response.end('hello\n');

createServer(app).listen(process.env.LISTEN_PID > 0 ? 'systemd' : (process.env.PORT ?? 3000));
