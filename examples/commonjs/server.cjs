// CommonJS, as in a package without "type": "module". There is no await at the top: serve() returns a promise.
const { serve } = require('listenfds');

const app = (_request, response) => response.end('Hello from CommonJS\n');

serve(app, process.env.PORT ?? 3000).then(
  ({ listening }) => console.log(`${listening[0].url} ${listening[0].source}`),
  (error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);
