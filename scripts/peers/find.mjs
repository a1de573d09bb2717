import { spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { arch } from 'node:os';
import { basename, delimiter, join } from 'node:path';

/** Where shared libraries of unpacked packages lie. */
const TRIPLETS = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

function executable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The version that a program reports, or undefined when it does not start or is not what it is taken for. */
function versionOf(file, peer) {
  const result = spawnSync(file, peer.versionArguments, {
    encoding: 'utf8',
    timeout: 20_000,
    env: { ...process.env, ...peer.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return peer.version.exec(`${result.stdout ?? ''}${result.stderr ?? ''}`)?.[1];
}

function suitable(file, peer) {
  const version = versionOf(file, peer);
  return version !== undefined && peer.suits(version.split('.').map(Number)) ? { path: file, version } : undefined;
}

/** The first program on the PATH with the right name and version. */
export function onPath(peer) {
  const name = basename(peer.binary);
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const file = join(directory, name);
    if (directory !== '' && executable(file)) {
      const found = suitable(file, peer);
      if (found) return { ...found, origin: 'PATH' };
    }
  }
  return undefined;
}

function librariesOf(tree) {
  const triplet = TRIPLETS[arch()] ?? '';
  return [join(tree, 'usr/lib', triplet), join(tree, 'lib', triplet)].filter(
    (directory) => existsSync(directory) && readdirSync(directory).some((file) => file.includes('.so')),
  );
}

/** A program of an unpacked package, started through a wrapper where it came with shared libraries. */
function launcher(tree, program) {
  const libraries = librariesOf(tree);
  if (libraries.length === 0) return program;
  const directory = join(tree, '..', 'bin');
  mkdirSync(directory, { recursive: true });
  const wrapper = join(directory, basename(program));
  if (!existsSync(wrapper)) {
    const path = libraries.join(':');
    writeFileSync(wrapper, `#!/bin/sh\nLD_LIBRARY_PATH='${path}' exec '${program}' "$@"\n`);
    chmodSync(wrapper, 0o755);
  }
  return wrapper;
}

/** A peer in an unpacked tree. */
export function inTree(tree, peer) {
  const program = join(tree, peer.binary);
  if (!existsSync(program)) return undefined;
  const found = suitable(launcher(tree, program), peer);
  return found && { ...found, origin: 'unpacked' };
}

/** The newest PostgreSQL server under a root, as a directory of programs. */
export function postgresUnder(root, { programs, oldest }) {
  const base = join(root, 'usr/lib/postgresql');
  if (!existsSync(base)) return undefined;
  const version = readdirSync(base)
    .map(Number)
    .filter(
      (major) => major >= oldest && programs.every((program) => executable(join(base, `${major}/bin/${program}`))),
    )
    .sort((a, b) => b - a)[0];
  return version === undefined ? undefined : { path: join(base, `${version}/bin`), version: String(version) };
}

/** The same for an unpacked tree, through wrappers. Without LLVM's library, just-in-time compilation is left out. */
export function postgresInTree(tree, postgres) {
  const found = postgresUnder(tree, postgres);
  if (!found) return undefined;
  rmSync(join(found.path, '../lib/llvmjit.so'), { force: true });
  const launchers = postgres.programs.map((program) => launcher(tree, join(found.path, program)));
  const wrapped = launchers[0] !== join(found.path, postgres.programs[0]);
  return { path: wrapped ? join(tree, '..', 'bin') : found.path, version: found.version, origin: 'unpacked' };
}
