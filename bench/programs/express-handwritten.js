// An Express service on fd 3, adopted by hand. Answers as http-handwritten.js does.
import express from 'express';

const app = express();
app.get('/', (_request, response) => {
  const { user, system } = process.cpuUsage();
  response.send(String(user + system));
});
app.listen({ fd: 3 });
