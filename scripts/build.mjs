import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

import { binary, root, runVisibly } from './run.mjs';

const STAMP = join(root, 'dist/.tsbuildinfo');

/** Everything that the compiled program depends on. */
const INPUTS = ['src', 'migrations', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

function newest(path) {
  if (!existsSync(path)) return 0;
  const status = statSync(path);
  if (!status.isDirectory()) return status.mtimeMs;
  // A directory's own time tells of files that were added, renamed or removed.
  const times = readdirSync(path, { withFileTypes: true }).map((entry) => newest(join(path, entry.name)));
  return Math.max(status.mtimeMs, ...times);
}

/** Compiles `src` into `dist` when a source is newer than the last good build. True when `dist` is up to date. */
export function ensureBuilt() {
  const started = new Date();
  const fresh =
    existsSync(STAMP) && statSync(STAMP).mtimeMs >= Math.max(...INPUTS.map((path) => newest(join(root, path))));
  if (fresh) return true;
  process.stderr.write('Compiling.\n');
  if (!runVisibly(binary('tsc'), ['-p', 'tsconfig.build.json'])) return false;
  // The compiler leaves its stamp alone when nothing changed in substance; and a source saved while it ran is newer.
  utimesSync(STAMP, started, started);
  return true;
}
