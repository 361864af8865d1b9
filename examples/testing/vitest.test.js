// npx vitest run
import { expect, onTestFinished, test } from 'vitest';
import { start } from './start.js';

test('it answers', async () => {
  const { url, close } = await start((_request, response) => response.end('hello'));
  onTestFinished(close);
  const response = await fetch(url);
  expect(await response.text()).toBe('hello');
});
