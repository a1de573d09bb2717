import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { peers as programs } from '../../support/peers.js';
import type { Peer } from './peer.js';

/** Leaf first. */
function blocks(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
}

/**
 * Every chain that is presented against every bundle that somebody has loaded, by OpenSSL (strictly), GnuTLS and Node,
 * each on its own. What was looked at before (`seen`) is not looked at again: a chain is told by who signed it and how long
 * it is. Throws with what does not verify.
 */
export function verifyAll(fleet: readonly Peer[], seen: Set<string>): void {
  const chains = new Map(
    fleet.map(({ leaf, name }) => [leaf.ski + String(blocks(leaf.chainPem).length), { leaf, name }]),
  );
  const bundles = new Map(fleet.map(({ bundle, name }) => [bundle.generation, { bundle, name }]));
  for (const { leaf, name } of chains.values()) {
    for (const { bundle, name: verifier } of bundles.values()) {
      const pair = `${leaf.ski} ${String(blocks(leaf.chainPem).length)} ${String(bundle.generation)}`;
      if (seen.has(pair)) continue;
      seen.add(pair);
      try {
        verify(leaf.chainPem, bundle.pem);
      } catch (error) {
        const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
        throw new Error(
          `${name} to ${verifier} (bundle ${String(bundle.generation)}): ${stdout}${stderr}${String(error)}`,
          { cause: error },
        );
      }
    }
  }
}

function verify(chain: string, anchors: string): void {
  const [leaf = '', ...between] = blocks(chain);
  byNode(leaf, between, blocks(anchors));
  const directory = mkdtempSync(join(tmpdir(), 'rotunda-fleet-'));
  const options = { cwd: directory, encoding: 'utf8', stdio: 'pipe' } as const;
  try {
    for (const [name, text] of [
      ['leaf', leaf],
      ['between', between.join('')],
      ['chain', chain],
      ['anchors', anchors],
    ] as const)
      writeFileSync(join(directory, `${name}.pem`), text);
    if (programs.openssl !== undefined) {
      const untrusted = between.length === 0 ? [] : ['-untrusted', 'between.pem'];
      const args = ['verify', '-x509_strict', '-no-CApath', '-no-CAstore', '-CAfile', 'anchors.pem', ...untrusted];
      execFileSync(programs.openssl, [...args, 'leaf.pem'], options);
    }
    if (programs.certtool !== undefined)
      execFileSync(
        programs.certtool,
        ['--verify', '--infile', 'chain.pem', '--load-ca-certificate', 'anchors.pem'],
        options,
      );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function byNode(leaf: string, between: readonly string[], anchors: readonly string[]): void {
  const certificate = new X509Certificate(leaf);
  const known = anchors.map((pem) => new X509Certificate(pem));
  const issuedBy = (one: X509Certificate, issuer: X509Certificate): boolean =>
    one.checkIssued(issuer) && one.verify(issuer.publicKey);
  const direct = known.some((anchor) => issuedBy(certificate, anchor));
  const crossed = between
    .map((pem) => new X509Certificate(pem))
    .some((cross) => issuedBy(certificate, cross) && known.some((anchor) => issuedBy(cross, anchor)));
  if (!direct && !crossed) throw new Error('Node finds no path');
}
