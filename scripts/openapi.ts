import { readFileSync, writeFileSync } from 'node:fs';

import { stringify } from 'yaml';

import { openApiDocument } from '../src/api/rest/openapi.js';

// `--write` makes openapi.yaml from the routes, `--check` fails where the committed file says something else.
const file = new URL('../openapi.yaml', import.meta.url);
const header = '# Made from the routes by `npx tsx scripts/openapi.ts --write`. Do not edit.\n';
const made = header + stringify(await openApiDocument(), { lineWidth: 0, aliasDuplicateObjects: false });

if (process.argv.includes('--write')) {
  writeFileSync(file, made);
  process.stdout.write('wrote openapi.yaml\n');
} else if (readFileSync(file, 'utf8') === made) {
  process.stdout.write('openapi.yaml matches the routes\n');
} else {
  process.stderr.write(
    'error: openapi.yaml does not match the routes\nhint: run npx tsx scripts/openapi.ts --write and read the difference\n',
  );
  process.exitCode = 1;
}
