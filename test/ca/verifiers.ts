import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What OpenSSL, GnuTLS and Node think of one chain at one time. */
export type Chain = { readonly leaf: string; readonly anchors: string; readonly at: number };

function inDirectory<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'rotunda-verify-'));
  try {
    return work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `openssl verify -x509_strict`; throws with what it printed. */
export function opensslVerify(
  openssl: string,
  { leaf, anchors, at }: Chain,
  purpose?: 'sslclient' | 'sslserver',
): string {
  return inDirectory((directory) => {
    writeFileSync(join(directory, 'leaf.pem'), leaf);
    writeFileSync(join(directory, 'anchors.pem'), anchors);
    const wanted = purpose === undefined ? [] : ['-purpose', purpose];
    const args = ['verify', '-x509_strict', '-check_ss_sig', '-attime', String(Math.floor(at / 1000)), ...wanted];
    return execFileSync(openssl, [...args, '-no-CApath', '-no-CAstore', '-CAfile', 'anchors.pem', 'leaf.pem'], {
      cwd: directory,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  });
}

/** `certtool --verify` against these anchors alone; throws with what it printed. */
export function gnutlsVerify(certtool: string, { leaf, anchors, at }: Chain): string {
  return inDirectory((directory) => {
    writeFileSync(join(directory, 'leaf.pem'), leaf);
    writeFileSync(join(directory, 'anchors.pem'), anchors);
    const time = new Date(at).toISOString().replace('T', ' ').slice(0, 19);
    return execFileSync(
      certtool,
      ['--verify', '--infile', 'leaf.pem', '--load-ca-certificate', 'anchors.pem', '--attime', time],
      {
        cwd: directory,
        encoding: 'utf8',
        env: { ...process.env, TZ: 'UTC' },
        stdio: 'pipe',
      },
    );
  });
}

/** Node's view: issued by, and signed by. */
export function nodeVerify({ leaf, anchors }: Chain): boolean {
  const certificate = new X509Certificate(leaf);
  const issuer = new X509Certificate(anchors);
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
