import { readFileSync, writeFileSync } from 'node:fs';

import { format } from 'prettier';
import { expect } from 'vitest';

/**
 * Holds parts of a page of docs/ to what the code says: the text between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
 * With ROTUNDA_WRITE=1 in the environment the page is written.
 */
export async function expectGenerated(file: string, parts: Readonly<Record<string, string>>): Promise<void> {
  const page = new URL(`../../docs/${file}`, import.meta.url);
  let text = readFileSync(page, 'utf8');
  for (const [name, part] of Object.entries(parts)) {
    const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
    const start = text.indexOf(begin) + begin.length;
    expect(text.indexOf(begin), begin).toBeGreaterThan(0);
    text = `${text.slice(0, start)}\n\n${part}\n\n${text.slice(text.indexOf(end))}`;
  }
  const wanted = await format(text, { parser: 'markdown', printWidth: 120, singleQuote: true });
  if (process.env['ROTUNDA_WRITE'] === '1') writeFileSync(page, wanted);
  expect(readFileSync(page, 'utf8')).toBe(wanted);
}

/** A Markdown table. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
