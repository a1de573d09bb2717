import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { root, runVisibly } from './run.mjs';

/**
 * better-sqlite3 is the one dependency with native code, and is compiled where no ready-made binary fits this Node.
 * It is an optional dependency, so that `npm ci` succeeds on a machine without a compiler; what is missing is made up
 * for here, once: the compiler from Debian when that is allowed, and the module from the lockfile.
 */
export function ensureNativeModules() {
  if (loads()) return true;
  process.stderr.write('The SQLite driver is not built yet; building it takes about two minutes.\n');
  if (!compilerPresent() && !installCompiler()) {
    process.stderr.write(
      'error: cannot build the SQLite driver: python3, make and g++ are missing\n' +
        'hint: as root, apt-get install python3 make g++; then repeat\n',
    );
    return false;
  }
  if (runVisibly('npm', ['ci', '--no-audit', '--no-fund'], localHeaders()) && loads()) return true;
  process.stderr.write(
    'error: the SQLite driver could not be built\nhint: npm rebuild better-sqlite3 shows the reason\n',
  );
  return false;
}

/** In a process of its own: a module built for another Node may not only throw. */
function loads() {
  const probe = "new (require('better-sqlite3'))(':memory:').close()";
  return spawnSync(process.execPath, ['-e', probe], { cwd: root, stdio: 'ignore', timeout: 30_000 }).status === 0;
}

/** Node's headers lie beside it in Debian's, NodeSource's and nodejs.org's packages; otherwise node-gyp downloads them. */
function localHeaders() {
  const prefix = join(process.execPath, '../..');
  return existsSync(join(prefix, 'include/node/node_version.h')) ? { npm_config_nodedir: prefix } : {};
}

function compilerPresent() {
  return ['python3', 'make', 'g++'].every(
    (program) => spawnSync(program, ['--version'], { stdio: 'ignore', timeout: 20_000 }).status === 0,
  );
}

function installCompiler() {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return false;
  process.stderr.write('Installing python3, make and g++ with apt-get.\n');
  const environment = { DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '-y', '-q', '--no-install-recommends', 'python3', 'make', 'g++'];
  return (
    runVisibly('apt-get', install, environment) ||
    (runVisibly('apt-get', ['update', '-q'], environment) && runVisibly('apt-get', install, environment))
  );
}
