// Putting a function of ours in the place of somebody else's method.

type Method = (this: any, ...args: any[]) => unknown;

/**
 * Puts `replacement` in the place of a method of `holder`. Nobody can tell: it has the name and the length of the
 * original, and does not show among the properties of `holder` unless that had a method of its own.
 *
 * @returns a function that puts the former one back, unless somebody else has replaced it since
 */
export function replaceMethod<Holder extends object>(
  holder: Holder,
  name: keyof Holder & string,
  replacement: Method,
): () => void {
  const before = Object.getOwnPropertyDescriptor(holder, name);
  const original = holder[name] as Method;
  for (const key of ['name', 'length'] as const) {
    Object.defineProperty(replacement, key, { value: original[key], configurable: true });
  }
  const described = { value: replacement, writable: true, configurable: true };
  Object.defineProperty(holder, name, { ...described, enumerable: before?.enumerable ?? false });
  return () => {
    if (holder[name] !== replacement) return;
    if (before) Object.defineProperty(holder, name, before);
    else delete holder[name];
  };
}
