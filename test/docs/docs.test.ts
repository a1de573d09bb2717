import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { configFrom } from '../../src/config/load.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

const pages = [
  ...readdirSync(root).filter((file) => file.endsWith('.md')),
  ...readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => path.join('docs', file)),
];

const read = (page: string): string => readFileSync(path.join(root, page), 'utf8');

describe('documentation', () => {
  test.each(pages)('%s links to files that exist', (page) => {
    const targets = [...read(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target]) => target ?? '');
    const broken = targets
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(path.resolve(root, path.dirname(page), target)));
    expect(broken).toEqual([]);
  });

  const examples = pages.flatMap((page) =>
    [...read(page).matchAll(/```yaml\n(.*?)```/gs)]
      .map(([, text], index) => ({ title: `${page}, example ${String(index + 1)}`, text: text ?? '' }))
      .filter(({ text }) => text.includes('apiVersion: rotunda.dev/')),
  );

  test.each(examples)('$title is a configuration that the service accepts', ({ text }) => {
    expect(() => configFrom(parse(text))).not.toThrow();
  });
});
