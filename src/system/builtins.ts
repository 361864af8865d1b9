// Node's own modules without the price of importing them: an ES import of a builtin builds a facade of all its exports,
// 0.2 to 0.4 ms each, which a service pays at every start. Those rarely needed are asked for by their users.
const builtin = process.getBuiltinModule;
// Here, since this is the first module that runs: the next line would be a TypeError.
if (!builtin) throw new Error(`listenfds needs Node.js 20.19, 22.12 or newer. This is ${process.version}.`);

export const fs = builtin('node:fs');
export const net = builtin('node:net');
export const path = builtin('node:path');
