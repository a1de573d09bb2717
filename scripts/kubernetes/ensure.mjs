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
 * Builds and fetches what is missing. Without a Go that is new enough, nothing is built and `missing` says so; a build
 * that fails rejects.
 */
export async function ensurePrograms({ log }) {
  const cache = cacheDirectory();
  const go = findGo();
  if (go.path !== undefined) {
    await withLock({ file: join(cache, 'kubernetes.lock'), timeoutMs: LOCK_TIMEOUT_MS, log }, async () => {
      for (const [name, program] of Object.entries(PROGRAMS)) await buildOne({ go, cache, name, program, log });
    });
  }
  const fetching = fetchContainerd(cache, log);
  const { found, missing } = findPrograms();
  for (const name of Object.keys(missing)) missing[name] = name === 'containerd' ? fetching : go.reason;
  return { found, missing };
}

async function buildOne({ go, cache, name, program, log }) {
  try {
    await build({ go: go.path, program, target: targetOf(cache, name, program), log });
  } catch (error) {
    throw new Error(`${name} could not be built with ${go.path} ${go.version}\n${error.message}`, { cause: error });
  }
}

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
