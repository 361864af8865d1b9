// An Express service that knows nothing of this package. Prints the port it listens on, and its CPU time until then in µs.
import express from 'express';

const app = express();
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return String(user + system);
};
app.get('/', (_request, response) => response.send(cpu()));
const server = app.listen(Number(process.env.PORT), '127.0.0.1', () => console.log(server.address().port, cpu()));
