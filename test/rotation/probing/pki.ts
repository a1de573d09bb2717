import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { readCertificate } from '../../../src/ca/x509/certificate.js';
import type { Authority } from '../../../src/ca/types.js';
import { requirePeer } from '../../support/peers.js';

export type TestAuthority = Authority & {
  readonly pem: string;
  readonly files: { readonly cert: string; readonly key: string };
};
export type TestLeaf = {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly serial: string;
  readonly fingerprint: string;
  readonly stem: string;
};

export type LeafOptions = {
  readonly commonName?: string;
  readonly kind?: 'client' | 'server' | 'both';
  readonly dns?: readonly string[];
  /** Days that it has been over for. */
  readonly expired?: boolean;
};

/** Authorities and leaves made by openssl, so that nothing under test has had a hand in them. */
export type TestPki = {
  readonly dir: string;
  authority(name: string, options?: { readonly ski?: string }): TestAuthority;
  /** The key of one, signed by the other. */
  cross(subject: TestAuthority, signer: TestAuthority): string;
  leaf(signer: TestAuthority, options?: LeafOptions): TestLeaf;
  remove(): void;
};

export function newPki(): TestPki {
  const dir = mkdtempSync(path.join(tmpdir(), 'rotunda-probing-'));
  let count = 0;
  const openssl = (...args: string[]): void => {
    execFileSync(requirePeer('openssl'), args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: dir });
  };
  const next = (name: string): string => path.join(dir, `${name}-${String((count += 1))}`);
  const newKey = (stem: string): void => {
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', `${stem}.key`);
  };
  const request = (stem: string, commonName: string, key = `${stem}.key`): void => {
    openssl('req', '-new', '-key', key, '-subj', `/CN=${commonName}`, '-out', `${stem}.csr`);
  };
  const sign = (stem: string, signer: TestAuthority, extensions: readonly string[], dates: readonly string[]): void => {
    writeFileSync(`${stem}.cnf`, extensions.join('\n'));
    const serial = `0x01${Buffer.from(stem).toString('hex').slice(-28)}`;
    const { cert, key } = signer.files;
    const by = ['-CA', cert, '-CAkey', key, '-set_serial', serial, '-extfile', `${stem}.cnf`];
    openssl('x509', '-req', '-in', `${stem}.csr`, ...by, ...dates, '-out', `${stem}.crt`);
  };
  return {
    dir,
    authority: (name, { ski = 'hash' } = {}) => {
      const stem = next(name);
      newKey(stem);
      const extensions = [
        'basicConstraints=critical,CA:TRUE,pathlen:1',
        'keyUsage=critical,digitalSignature,keyCertSign,cRLSign',
        `subjectKeyIdentifier=${ski}`,
      ].flatMap((extension) => ['-addext', extension]);
      openssl(
        'req',
        '-x509',
        '-new',
        '-key',
        `${stem}.key`,
        '-subj',
        `/CN=${name}`,
        '-days',
        '30',
        ...extensions,
        '-out',
        `${stem}.crt`,
      );
      const pem = readFileSync(`${stem}.crt`, 'utf8');
      return toAuthority(pem, { cert: `${stem}.crt`, key: `${stem}.key` });
    },
    cross: (subject, signer) => {
      const stem = next('cross');
      request(stem, new X509Certificate(subject.pem).subject.slice('CN='.length), subject.files.key);
      const extensions = [
        'basicConstraints=critical,CA:TRUE,pathlen:0',
        'keyUsage=critical,keyCertSign',
        'subjectKeyIdentifier=hash',
        'authorityKeyIdentifier=keyid',
      ];
      sign(stem, signer, extensions, ['-days', '10']);
      return readFileSync(`${stem}.crt`, 'utf8');
    },
    leaf: (signer, { commonName = 'rotunda-canary', kind = 'client', dns = ['localhost'], expired = false } = {}) => {
      const stem = next('leaf');
      newKey(stem);
      request(stem, commonName);
      const usages = { client: 'clientAuth', server: 'serverAuth', both: 'serverAuth,clientAuth' };
      const names = [...dns.map((name) => `DNS:${name}`), 'IP:127.0.0.1', 'IP:::1'].join(',');
      const extensions = [
        'keyUsage=critical,digitalSignature',
        `extendedKeyUsage=${usages[kind]}`,
        'authorityKeyIdentifier=keyid',
      ];
      sign(stem, signer, kind === 'client' ? extensions : [...extensions, `subjectAltName=${names}`], [
        '-days',
        expired ? '-1' : '10',
      ]);
      const certificatePem = readFileSync(`${stem}.crt`, 'utf8');
      const read = new X509Certificate(certificatePem);
      return {
        certificatePem,
        keyPem: readFileSync(`${stem}.key`, 'utf8'),
        serial: read.serialNumber.toLowerCase(),
        fingerprint: read.fingerprint256.replaceAll(':', '').toLowerCase(),
        stem,
      };
    },
    remove: () => {
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function toAuthority(pem: string, files: TestAuthority['files']): TestAuthority {
  const facts = readCertificate(new X509Certificate(pem).raw);
  return {
    ski: facts.subjectKeyId ?? '',
    ring: 'test',
    subject: new X509Certificate(pem).subject,
    state: 'trusted',
    tainted: false,
    keyType: 'ec-p256',
    createdAt: 0,
    certificates: [{ kind: 'self-signed', facts, pem }],
    pem,
    files,
  };
}
