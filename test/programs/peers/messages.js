// What each package says to the service manager: node messages.js PACKAGE MESSAGE [TEXT]. Prints what came of it.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const [, , name, message, text] = process.argv;

const packages = {
  async listenfds() {
    const { notify, notifyBarrier } = await import(process.env.LISTENFDS_MODULE);
    return {
      ready: () => notify({ ready: true }),
      status: () => notify({ status: text }),
      reloading: () => notify({ reloading: true }),
      barrier: () => notifyBarrier(),
    };
  },
  async 'sd-notify'() {
    const sd = require('sd-notify');
    return { ready: sd.ready, status: () => sd.sendStatus(text) };
  },
  async 'sd-daemon'() {
    const sd = await import('sd-daemon');
    return { ready: sd.notifyReady, status: () => sd.notifyStatus(text), reloading: sd.notifyReloading };
  },
};

try {
  const call = (await packages[name]())[message];
  if (!call) console.log('no such function');
  else console.log(`returned ${await call()}`);
} catch (error) {
  console.log(`${error.code ?? error.name}`);
}
