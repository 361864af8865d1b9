// systemd-notify(1) with notify() behind it: the options that TEST-80 gives. What notify() refuses is said, and not sent.
import { parseArgs } from 'node:util';

const { notify, notifyBarrier } = await import(process.env.LISTENFDS_DIST);
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ready: { type: 'boolean' },
    status: { type: 'string' },
    pid: { type: 'string' },
    fd: { type: 'string', multiple: true, default: [] },
    fdname: { type: 'string' },
  },
});
const mainPid =
  { self: process.pid, parent: process.ppid }[values.pid] ?? (values.pid ? Number(values.pid) : undefined);
const fds = values.fd.map(Number);
const fields = {
  NOTIFYACCESS: (value) => ({ notifyAccess: value }),
  MAINPID: (value) => ({ mainPid: Number(value) }),
  ERRNO: (value) => ({ errno: Number(value) }),
  BUSERROR: (value) => ({ busError: value }),
  VARLINKERROR: (value) => ({ varlinkError: value }),
};
const states = [
  {
    ready: values.ready,
    status: values.status,
    mainPid,
    ...(fds.length > 0 ? { fdStore: true, fdName: values.fdname } : {}),
  },
  ...positionals.map((assignment) => {
    const [name, ...value] = assignment.split('=');
    return fields[name](value.join('='));
  }),
];
const options = { fds, pid: mainPid ?? process.ppid };
for (const state of states.filter((one) => Object.values(one).some((value) => value !== undefined))) {
  try {
    await notify(state, options);
  } catch (error) {
    if (error.code !== 'LISTENFDS_BAD_OPTION') throw error;
    console.error(error.message);
  }
}
await notifyBarrier({ timeout: 5000 });
