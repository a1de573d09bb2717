import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { readCsr } from '../../../src/ca/x509/csr.js';
import { decodePem, encodePem } from '../../../src/ca/x509/pem.js';
import { describeWithPeer, requirePeer } from '../../support/peers.js';
import { type TestKey, altNames, buildRequest, dns, extensionRequest, ip, keyPair } from './requests.js';

const label = 'CERTIFICATE REQUEST';

describeWithPeer('openssl', 'openssl req', () => {
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'rotunda-req-'));
  });

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  const openssl = (...args: readonly string[]): { status: number | null; output: string } => {
    const { status, stdout, stderr } = spawnSync(requirePeer('openssl'), args, { cwd: directory, encoding: 'utf8' });
    return { status, output: stdout + stderr };
  };

  const make = (...args: readonly string[]): string => {
    const made = openssl(
      'req',
      '-new',
      '-nodes',
      '-keyout',
      'key.pem',
      '-out',
      'made.csr',
      '-config',
      '/dev/null',
      ...args,
    );
    expect(made.status, made.output).toBe(0);
    return readFileSync(join(directory, 'made.csr'), 'utf8');
  };

  const verifies = (pem: string): boolean => {
    writeFileSync(join(directory, 'in.csr'), pem);
    const { output } = openssl('req', '-verify', '-noout', '-in', 'in.csr', '-config', '/dev/null');
    return /verify OK/.test(output);
  };

  const reads = (pem: string): ReturnType<typeof readCsr> | undefined => {
    try {
      return readCsr(decodePem(pem, { label, mode: 'strict' }));
    } catch {
      return undefined;
    }
  };

  test.each<[string, readonly string[]]>([
    ['P-256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384']],
    ['P-521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521', '-sha512']],
    ['Ed25519', ['-newkey', 'ed25519']],
    ['RSA', ['-newkey', 'rsa:2048']],
    ['RSA with SHA-512', ['-newkey', 'rsa:2048', '-sha512']],
    [
      'RSA-PSS with SHA-256',
      ['-newkey', 'rsa:2048', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest'],
    ],
    [
      'RSA-PSS with SHA-384',
      ['-newkey', 'rsa:2048', '-sha384', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest'],
    ],
  ])('a request made by openssl with %s is read as it was meant', (_what, key) => {
    const pem = make(
      ...key,
      '-subj',
      '/O=system:nodes/CN=system:node:a',
      '-addext',
      'subjectAltName=DNS:a.example.org,IP:10.0.0.1,IP:fd00::1',
    );
    expect(verifies(pem)).toBe(true);
    expect(reads(pem)).toMatchObject({
      commonName: 'system:node:a',
      organizations: ['system:nodes'],
      names: [
        { kind: 'dns', value: 'a.example.org' },
        { kind: 'ip', value: '10.0.0.1' },
        { kind: 'ip', value: 'fd00::1' },
      ],
      problems: [],
    });
  });

  test.each<[string, string, string]>([
    ['an otherName beside a DNS name', 'subjectAltName=otherName:1.2.3.4;UTF8:root,DNS:a.b', 'san-type'],
    ['CA:TRUE', 'basicConstraints=critical,CA:TRUE', 'requests-ca'],
    ['keyCertSign', 'keyUsage=keyCertSign', 'requests-ca'],
    ['name constraints', 'nameConstraints=permitted;DNS:a.b', 'unknown-extension'],
  ])('%s is seen', (_what, extension, rule) => {
    const pem = make('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-subj', '/CN=a', '-addext', extension);
    expect(verifies(pem)).toBe(true);
    expect(reads(pem)?.problems.map((p) => p.rule)).toEqual([rule]);
  });

  test('secp256k1, which openssl verifies and upstream does not, is refused', () => {
    const pem = make('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1', '-subj', '/CN=a');
    expect(verifies(pem)).toBe(true);
    expect(reads(pem)).toBeUndefined();
  });

  test.each<TestKey>(['ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'rsa-2048'])(
    'openssl and we agree on requests with %s, good and broken',
    (key) => {
      const good = buildRequest({ key, attributes: [extensionRequest(altNames(dns('a.b'), ip('0a000001')))] });
      const broken = Buffer.from(good);
      broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
      const foreign = buildRequest({ key, signer: keyPair(key, 'other').privateKey });
      for (const [der, wanted] of [
        [good, true],
        [broken, false],
        [foreign, false],
      ] as const) {
        const pem = encodePem(label, der);
        expect(verifies(pem)).toBe(wanted);
        expect(reads(pem) !== undefined).toBe(wanted);
      }
    },
  );
});
