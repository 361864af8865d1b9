// The hooks that frameworks run at the beginning of their close(), run by themselves: a close() refuses requests from then on,
// and a drain does not. A hook that is not found there is left to the framework's close().

type Hook = (this: unknown, done?: (error?: unknown) => void) => unknown;

interface FastifyInstance {
  readonly [key: symbol]: unknown;
}

const own = (app: object, description: string): unknown => {
  const key = Object.getOwnPropertySymbols(app).find((symbol) => symbol.description === description);
  return key && (app as FastifyInstance)[key];
};

/** A hook that takes an argument calls it when it is done, another one returns a promise. */
function run(hook: Hook, self: unknown): Promise<unknown> {
  if (hook.length !== 1) return Promise.resolve(hook.call(self));
  return new Promise<void>((resolve, reject) => {
    hook.call(self, (error) => (error ? reject(error as Error) : resolve()));
  });
}

export async function runFastifyPreClose(app: object): Promise<void> {
  const hooks = own(app, 'fastify.hooks') as { preClose?: Hook[] } | undefined;
  for (const hook of hooks?.preClose?.splice(0) ?? []) await run(hook, app);
  for (const child of (own(app, 'fastify.children') ?? []) as object[]) await runFastifyPreClose(child);
}

/** Hapi keeps the hooks of server.ext('onPreStop') in its core. */
export async function runHapiPreStop(core: unknown): Promise<void> {
  const { extensions, _invoke: invoke } = (core ?? {}) as {
    extensions?: { server?: { onPreStop?: { nodes: unknown } } };
    _invoke?: (type: string) => Promise<void>;
  };
  const hooks = extensions?.server?.onPreStop;
  if (!hooks || !invoke) return;
  await invoke.call(core, 'onPreStop');
  hooks.nodes = null;
}

/** Calls methods of an object, each of which does nothing from then on. */
export async function runOnce(app: object, ...names: string[]): Promise<void> {
  const methods = app as Record<string, (() => unknown) | undefined>;
  for (const name of names) {
    if (typeof methods[name] !== 'function') continue;
    const result = methods[name]();
    // Past the proxy that Nest's applications are behind, which swallows properties set on it.
    Object.defineProperty(app, name, { value: async () => {}, configurable: true, writable: true });
    await result;
  }
}
