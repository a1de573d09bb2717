import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { aptAvailable, unpack } from './apt.mjs';
import { PEERS, POSTGRES } from './catalogue.mjs';
import { inTree, onPath, postgresInTree, postgresUnder } from './find.mjs';

/**
 * Finds or fetches every peer. Returns `{ found: { NAME: { path, version, origin } }, missing: { NAME: reason } }`.
 * With `offline`, only what is on the machine or was unpacked before is considered.
 */
export function ensurePeers({ offline = false, log = () => {} } = {}) {
  const found = {};
  const missing = {};
  const cache = cacheDirectory();
  const all = [...Object.entries(PEERS), ['postgresBin', POSTGRES]];
  for (const [name, peer] of all) {
    try {
      found[name] = onMachine(name, peer) ?? unpacked({ name, peer, cache, offline, log });
    } catch (error) {
      missing[name] = error instanceof Error ? error.message : String(error);
    }
  }
  return { found, missing };
}

/** Peers whose absence is a named skip even in CI, because no Debian package holds them. */
export const OPTIONAL_PEERS = Object.keys(PEERS).filter((name) => PEERS[name].optional === true);

function onMachine(name, peer) {
  if (name !== 'postgresBin') return onPath(peer);
  const server = postgresUnder('/', peer);
  return server && { ...server, origin: 'system' };
}

function unpacked({ name, peer, cache, offline, log }) {
  if (peer.packages.length === 0) throw new Error('not on the PATH, and in no Debian package');
  const unpackedBefore = join(cache, name, 'tree');
  const tree = offline || existsSync(unpackedBefore) ? unpackedBefore : fetchTree({ name, peer, cache, log });
  const found = name === 'postgresBin' ? postgresInTree(tree, peer) : inTree(tree, peer);
  if (!found)
    throw new Error(offline ? 'not fetched yet (npm test fetches it)' : `unsuitable: ${peer.packages.join(', ')}`);
  return found;
}

function fetchTree({ name, peer, cache, log }) {
  if (!aptAvailable()) throw new Error('not on the PATH, and this machine has no apt to fetch it with');
  log(`fetching ${name} (${peer.packages.join(', ')})`);
  return unpack({ name, packages: peer.packages, keep: peer.keep, cache });
}

/**
 * Outside the checkout, so that `npm ci` does not empty it. Root's lies where other users may read: PostgreSQL refuses
 * to run as root.
 */
export function cacheDirectory() {
  const chosen = process.env['ROTUNDA_PEERS_CACHE'];
  const root = process.getuid?.() === 0;
  const home = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const directory = chosen || (root ? '/var/cache/rotunda-peers' : join(home, 'rotunda-peers'));
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  accessSync(directory, constants.W_OK);
  return directory;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const offline = process.argv.includes('--offline');
  const peers = ensurePeers({ offline, log: (line) => process.stderr.write(`peers: ${line}\n`) });
  process.stdout.write(`${JSON.stringify({ ...peers, optional: OPTIONAL_PEERS }, null, 2)}\n`);
}
