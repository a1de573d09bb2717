import { readFileSync, writeFileSync } from 'node:fs';

import { format } from 'prettier';
import { expect, it } from 'vitest';

import { commandTables, marks } from '../e2e/kubectl/page.js';

const page = new URL('../../docs/kubectl.md', import.meta.url);

it('docs/kubectl.md shows what is driven; ROTUNDA_WRITE=1 writes it', async () => {
  const text = readFileSync(page, 'utf8');
  const [begin, end] = marks;
  const start = text.indexOf(begin) + begin.length;
  const made = `${text.slice(0, start)}\n\n${commandTables()}\n\n${text.slice(text.indexOf(end))}`;
  const wanted = await format(made, { parser: 'markdown', printWidth: 120, singleQuote: true });
  if (process.env['ROTUNDA_WRITE'] === '1') writeFileSync(page, wanted);
  expect(readFileSync(page, 'utf8')).toBe(wanted);
});
