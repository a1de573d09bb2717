import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { aptAvailable, unpack } from '../peers/apt.mjs';
import { cacheDirectory } from '../peers/ensure.mjs';
import { inTree, onPath } from '../peers/find.mjs';
import { build } from './build.mjs';
import { CONTAINERD, PROGRAMS } from './catalogue.mjs';
import { findGo } from './go.mjs';
import { withLock } from './lock.mjs';

const LOCK_TIMEOUT_MS = 45 * 60_000;

/**
 * What is built already, without building: `{ found: { NAME: path }, missing: { NAME: reason } }`. containerd and its
 * shim lie in the directory `containerdBin`.
 */
export function findPrograms() {
  const found = {};
  const missing = {};
  const cache = cacheDirectory();
  for (const [name, program] of Object.entries(PROGRAMS)) {
    const path = targetOf(cache, name, program);
    if (existsSync(path)) found[name] = path;
    else missing[name] = 'not built yet (npm run test:kubernetes builds it)';
  }
  const containerd = findContainerd(cache);
  if (containerd) found.containerd = containerd.path;
  else missing.containerd = 'not fetched yet (npm run test:kubernetes fetches it)';
  return { found, missing };
}

/**
 * Builds and fetches what is missing. Without a Go that is new enough, or without its module proxy, nothing more is
 * built and `missing` says so; a build that fails for another reason rejects.
 */
export async function ensurePrograms({ log }) {
  const cache = cacheDirectory();
  const unbuilt = await buildPrograms(cache, log);
  const unfetched = fetchContainerd(cache, log);
  const { found, missing } = findPrograms();
  for (const name of Object.keys(missing)) missing[name] = name === 'containerd' ? unfetched : unbuilt;
  return { found, missing };
}

/** Why not all could be built, or undefined. */
async function buildPrograms(cache, log) {
  const targets = Object.entries(PROGRAMS).map(([name, program]) => ({
    name,
    program,
    target: targetOf(cache, name, program),
  }));
  const built = () => targets.every(({ target }) => existsSync(target));
  if (built()) return undefined;
  const go = findGo();
  if (go.path === undefined) return go.reason;
  log(`building with ${go.path} ${go.version} into ${cache}; the first time takes about ten minutes of two free cores`);
  return withLock({ file: join(cache, 'kubernetes.lock'), timeoutMs: LOCK_TIMEOUT_MS, log }, async () => {
    for (const { name, program, target } of targets) {
      try {
        await build({ go: go.path, program, target, log });
      } catch (error) {
        if (UNREACHABLE.test(error.message)) return `its modules cannot be downloaded: ${lastLine(error.message)}`;
        throw new Error(`${name} could not be built with ${go.path} ${go.version}\n${error.message}`, { cause: error });
      }
    }
    return undefined;
  });
}

/** What Go says when it cannot reach the module proxy. */
const UNREACHABLE =
  /dial tcp|no such host|i\/o timeout|connection refused|connection reset|TLS handshake timeout|module lookup disabled/;

const lastLine = (text) => text.trim().split('\n').at(-1);

/** Why there is none, or undefined. */
function fetchContainerd(cache, log) {
  if (findContainerd(cache)) return undefined;
  if (!aptAvailable()) return 'not on the PATH, and this machine has no apt to fetch it with';
  try {
    log('fetching containerd');
    unpack({ name: 'containerd', packages: CONTAINERD.packages, cache });
    return undefined;
  } catch (error) {
    return error.message;
  }
}

function findContainerd(cache) {
  const tree = join(cache, 'containerd', 'tree');
  return onPath(CONTAINERD) ?? (existsSync(tree) ? inTree(tree, CONTAINERD) : undefined);
}

const targetOf = (cache, name, program) => join(cache, program.directory, name);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(`${JSON.stringify(findPrograms(), null, 2)}\n`);
}
