// The lines of docs/errors.md: node errors.js CASE
/* oxlint-disable no-unused-vars -- they show what there is */
import { createServer } from 'node:http';
import { listen, ListenFdsError } from 'listenfds';

const app = createServer();

const cases = {
  async required() {
    try {
      await listen(app, { port: 3000, activation: 'required' });
    } catch (error) {
      if (error instanceof ListenFdsError && error.code === 'LISTENFDS_NOT_ACTIVATED') console.error(error.message);
      else throw error;
    }
  },
};

await cases[process.argv[2]]();
console.log('done');
process.exit();
