// Text of others, made fit for a terminal or a log.

const names: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

// Control characters of both sets, line and paragraph separators, and characters that change the direction of writing.
const unseen = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

function code(character: string): string {
  const hex = character.charCodeAt(0).toString(16);
  return hex.length > 2 ? `\\u${hex.padStart(4, '0')}` : `\\x${hex.padStart(2, '0')}`;
}

/** On one line, and without anything that a terminal obeys: ESC becomes \x1b. */
export function visible(text: string): string {
  return text.replace(unseen, (character) => names[character] ?? code(character));
}

/** Output of JSON.stringify(), with the characters that it leaves as they are: the second set of control characters, U+009B among them. */
export function visibleJson(json: string): string {
  return json.replace(unseen, (character) =>
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Whether it has a character that ends a line for somebody, or that nobody sees. */
export const hasControls = (text: string): boolean => text.search(unseen) >= 0;
