// node --test
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { start } from './start.js';

test('it answers', async (t) => {
  const { url, close } = await start((_request, response) => response.end('hello'));
  t.after(close);
  const response = await fetch(url);
  assert.equal(await response.text(), 'hello');
});
