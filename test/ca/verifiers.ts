import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A leaf and what is to vouch for it, PEM. */
export type Chain = { readonly leaf: string; readonly anchors: string };

function inDirectory<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'rotunda-verify-'));
  try {
    return work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `openssl verify -x509_strict`, now; throws with what it printed. */
export function opensslVerify(openssl: string, { leaf, anchors }: Chain, purpose?: 'sslclient' | 'sslserver'): string {
  return inDirectory((directory) => {
    writeFileSync(join(directory, 'leaf.pem'), leaf);
    writeFileSync(join(directory, 'anchors.pem'), anchors);
    const wanted = purpose === undefined ? [] : ['-purpose', purpose];
    const args = ['verify', '-x509_strict', '-check_ss_sig', ...wanted];
    return execFileSync(openssl, [...args, '-no-CApath', '-no-CAstore', '-CAfile', 'anchors.pem', 'leaf.pem'], {
      cwd: directory,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  });
}

/** `certtool --verify` against these anchors alone, now; throws with what it printed. */
export function gnutlsVerify(certtool: string, { leaf, anchors }: Chain): string {
  return inDirectory((directory) => {
    writeFileSync(join(directory, 'leaf.pem'), leaf);
    writeFileSync(join(directory, 'anchors.pem'), anchors);
    return execFileSync(certtool, ['--verify', '--infile', 'leaf.pem', '--load-ca-certificate', 'anchors.pem'], {
      cwd: directory,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  });
}

/** Node's view: issued by, and signed by. */
export function nodeVerify({ leaf, anchors }: Chain): boolean {
  const certificate = new X509Certificate(leaf);
  const issuer = new X509Certificate(anchors);
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
