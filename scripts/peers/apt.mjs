import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Debian packages without installing them: downloaded by apt (which checks signatures and digests), unpacked beside
 * the tests. Needs no root, starts no daemon, and leaves the machine's own packages alone.
 */

const QUIET = [
  ...['-o', 'Debug::NoLocking=true', '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=2'],
  ...['-o', 'Acquire::http::Timeout=30', '-o', 'Acquire::https::Timeout=30', '-q'],
];

const STEP_TIMEOUT_MS = 300_000;

function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: STEP_TIMEOUT_MS,
    maxBuffer: 64 << 20,
    env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  if (result.error) throw new Error(`${command}: ${result.error.message}`);
  if (result.status !== 0) throw new Error(`${command} ${args.at(-1)}: ${lastLine(result.stderr || result.stdout)}`);
  return result.stdout;
}

const lastLine = (text) => text.trim().split('\n').at(-1)?.trim() ?? '';

/** The package and what it needs that this machine lacks, by name. */
function missingPackages(packages, lists) {
  const plan = run('apt-get', [
    ...QUIET,
    ...lists,
    '--print-uris',
    '-y',
    '--no-install-recommends',
    '--reinstall',
    'install',
    ...packages,
  ]);
  return [...plan.matchAll(/^'[^']+' ([^_\s]+)_\S+\.deb /gm)].map(([, name]) => name);
}

function downloadAndUnpack({ packages, keep }, lists, directory) {
  const wanted = missingPackages(packages, lists).filter((name) => !keep || keep.test(name));
  if (wanted.length === 0) throw new Error(`apt knows no package for ${packages.join(', ')}`);
  const downloads = join(directory, 'debs');
  mkdirSync(downloads);
  run('apt-get', [...QUIET, ...lists, 'download', ...wanted], { cwd: downloads });
  const tree = join(directory, 'tree');
  mkdirSync(tree);
  const archives = readdirSync(downloads).filter((file) => file.endsWith('.deb'));
  for (const archive of archives) run('dpkg-deb', ['--extract', join(downloads, archive), tree]);
  rmSync(downloads, { recursive: true });
  return archives;
}

/** A package list of our own, for when the machine has none or its own is out of date. */
function privateLists(cache) {
  const lists = join(cache, 'apt', 'lists');
  const archives = join(cache, 'apt', 'cache');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  mkdirSync(join(archives, 'archives', 'partial'), { recursive: true });
  const options = ['-o', `Dir::State::Lists=${lists}`, '-o', `Dir::Cache=${archives}`];
  run('apt-get', [...QUIET, ...options, 'update']);
  return options;
}

/** Whether this machine has what unpacking needs. */
export function aptAvailable() {
  return ['/usr/bin/apt-get', '/usr/bin/dpkg-deb'].every((file) => existsSync(file));
}

/**
 * Unpacks `packages` under `cache/name` unless that is there already, and returns the tree's path.
 * Throws with apt's last words when a package cannot be had.
 */
export function unpack({ name, packages, keep, cache }) {
  const home = join(cache, name);
  const tree = join(home, 'tree');
  if (existsSync(tree)) return tree;
  const temporary = join(cache, `.${name}-${process.pid}`);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  // Readable for the unprivileged user that a root-run PostgreSQL is started as.
  chmodSync(temporary, 0o755);
  try {
    const archives = attempt({ packages, keep, cache, temporary });
    writeFileSync(join(temporary, 'packages.txt'), archives.join('\n') + '\n');
    publish(temporary, home);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return tree;
}

function attempt({ packages, keep, cache, temporary }) {
  try {
    return downloadAndUnpack({ packages, keep }, [], temporary);
  } catch {
    for (const entry of readdirSync(temporary)) rmSync(join(temporary, entry), { recursive: true });
    return downloadAndUnpack({ packages, keep }, privateLists(cache), temporary);
  }
}

/** Another run may have been faster; its tree is as good as ours. */
function publish(temporary, home) {
  try {
    renameSync(temporary, home);
  } catch (error) {
    if (!existsSync(home)) throw error;
  }
}
