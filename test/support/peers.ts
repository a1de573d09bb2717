import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { describe, test } from 'vitest';

/** Programs that tests run against. `postgresBin` is a directory of server programs, the rest are executables. */
export type PeerName =
  | 'openssl'
  | 'certtool'
  | 'etcd'
  | 'etcdctl'
  /** Debian's kubectl, 1.20 on Debian 12: sends JSON. */
  | 'kubectlDebian'
  /** A kubectl newer than that, where one is on the PATH; from 1.32 on it sends protobuf. */
  | 'kubectl'
  | 'postgresBin';

type Report = {
  readonly found: Readonly<Partial<Record<PeerName, { readonly path: string; readonly version: string }>>>;
  readonly missing: Readonly<Partial<Record<PeerName, string>>>;
  /** In no Debian package: a named skip even in CI. */
  readonly optional: readonly PeerName[];
};

const report = readReport();

/** `npm test` hands its findings on; a bare `npx vitest` looks for itself and fetches nothing. */
function readReport(): Report {
  const script = fileURLToPath(new URL('../../scripts/peers/ensure.mjs', import.meta.url));
  const text =
    process.env['ROTUNDA_PEERS'] ??
    execFileSync(process.execPath, [script, '--offline'], { encoding: 'utf8', timeout: 120_000 });
  return JSON.parse(text) as Report;
}

/** Paths of the peers that this machine has; undefined for the others. */
export const peers: Readonly<Record<PeerName, string | undefined>> = {
  openssl: report.found.openssl?.path,
  certtool: report.found.certtool?.path,
  etcd: report.found.etcd?.path,
  etcdctl: report.found.etcdctl?.path,
  kubectlDebian: report.found.kubectlDebian?.path,
  kubectl: report.found.kubectl?.path,
  postgresBin: report.found.postgresBin?.path,
};

/** Why a peer is absent, in one line. */
export function whyMissing(name: PeerName): string {
  return `no ${name}: ${report.missing[name] ?? 'not looked for'}`;
}

/** The path of a peer, inside a suite that `describeWithPeer` or `testWithPeer` has let through. */
export function requirePeer(name: PeerName): string {
  const path = peers[name];
  if (path === undefined) throw new Error(whyMissing(name));
  return path;
}

const inCi = process.env['CI'] === 'true';

/** The peers whose absence skips a suite, and those whose absence fails it (in CI all but the optional ones). */
function absent(names: readonly PeerName[]): { readonly reasons: string; readonly fatal: boolean } | undefined {
  const gone = names.filter((name) => peers[name] === undefined);
  if (gone.length === 0) return undefined;
  const fatal = inCi && gone.some((name) => !report.optional.includes(name));
  return { reasons: gone.map(whyMissing).join('; '), fatal };
}

/** A suite over real peers: without them a skip that names them, and in CI a failure. */
export function describeWithPeer(names: PeerName | readonly PeerName[], title: string, suite: () => void): void {
  const gap = absent(typeof names === 'string' ? [names] : names);
  if (!gap) {
    describe(title, suite);
    return;
  }
  unmet(`${title} [${gap.reasons}]`, gap);
}

/** The same for a single test. */
export function testWithPeer(
  names: PeerName | readonly PeerName[],
  title: string,
  body: () => Promise<void> | void,
  timeoutMs?: number,
): void {
  const gap = absent(typeof names === 'string' ? [names] : names);
  if (!gap) {
    test(title, body, timeoutMs);
    return;
  }
  unmet(`${title} [${gap.reasons}]`, gap);
}

/** The suite's body is not run at all: it may use the peer while it is being collected. */
function unmet(title: string, gap: { readonly reasons: string; readonly fatal: boolean }): void {
  test.skipIf(!gap.fatal)(title, () => {
    throw new Error(gap.reasons);
  });
}
