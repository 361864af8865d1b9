// A message of sd_notify(3) from the manager's side: text in, its variables out. Pure.

/** The variables of one message; of two with one name, the last counts. A line without '=' says nothing. */
export function parseNotifyMessage(text: string): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0) variables.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return variables;
}
