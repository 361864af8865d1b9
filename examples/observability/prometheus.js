// Prometheus: /metrics has the connections of this service. It needs `npm install prom-client`.
import { serve } from 'listenfds';
import { Gauge, register } from 'prom-client';

const service = await serve(
  async (request, response) => {
    if (request.url !== '/metrics') return response.end('hello\n');
    response.setHeader('Content-Type', register.contentType);
    return response.end(await register.metrics());
  },
  { port: process.env.PORT ?? 3000 },
);
console.log(service.listening[0].url);

for (const name of ['accepted', 'active', 'refused']) {
  new Gauge({
    name: `web_connections_${name}`,
    help: `Connections, ${name}`,
    collect() {
      this.set(service.stats[name]);
    },
  });
}
