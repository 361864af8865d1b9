// An Express service that knows nothing of this package. Prints the port it listens on.
import express from 'express';

const app = express();
app.get('/', (_request, response) => {
  const { user, system } = process.cpuUsage();
  response.send(String(user + system));
});
const server = app.listen(Number(process.env.PORT), '127.0.0.1', () => console.log(server.address().port));
