import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';

import { GO_VERSION } from './catalogue.mjs';

/** A Go that is new enough, as `{ path, version }`, or `{ reason }`. */
export function findGo() {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/go/bin', '/usr/lib/go/bin'];
  const older = [];
  for (const directory of new Set(directories.filter((entry) => entry !== ''))) {
    const path = join(directory, 'go');
    const version = versionOf(path);
    if (version === undefined) continue;
    if (newEnough(version.split('.').map(Number))) return { path, version };
    older.push(`${path} is ${version}`);
  }
  const wanted = GO_VERSION.slice(0, 2).join('.');
  return { reason: `no Go ${wanted} or newer${older.length > 0 ? ` (${older.join(', ')})` : ''}` };
}

/** Its own version: GOTOOLCHAIN=local keeps it from fetching another. */
function versionOf(path) {
  const result = spawnSync(path, ['version'], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { ...process.env, GOTOOLCHAIN: 'local' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return /go version go(\d+(?:\.\d+)*)/.exec(result.stdout ?? '')?.[1];
}

function newEnough(version) {
  for (const [index, wanted] of GO_VERSION.entries()) {
    const part = version[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}
