import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './run.mjs';

// Migrations are numbered without gaps, can be undone, and are all in the index: what is not there never runs.

const directory = join(root, 'migrations');
const index = readFileSync(join(directory, 'index.ts'), 'utf8');
const files = readdirSync(directory)
  .filter((file) => /^\d/.test(file))
  .sort();

const problems = files.flatMap((file, position) => {
  const text = readFileSync(join(directory, file), 'utf8');
  const number = String(position + 1).padStart(3, '0');
  return [
    !file.startsWith(`${number}-`) && `${file}: expected number ${number}`,
    !index.includes(`./${file.replace(/\.ts$/, '.js')}'`) && `${file}: not in migrations/index.ts`,
    ...['up', 'down'].map(
      (name) => !new RegExp(`^export (?:async function|const) ${name}\\b`, 'm').test(text) && `${file}: no ${name}`,
    ),
  ].filter((problem) => problem !== false);
});

if (files.length === 0) problems.push('no migrations found');
for (const problem of problems) process.stdout.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
