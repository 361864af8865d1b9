/** Resolves when all that is here now has been handled: data and signals may be seen one turn of the event loop after others. */
export const turns = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
