import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { buildAuthorityCertificate } from '../src/ca/x509/authority.js';
import { readCertificate } from '../src/ca/x509/certificate.js';
import { parseCsr, readCsr } from '../src/ca/x509/csr.js';
import { element, octetAlignedBits, sequence } from '../src/ca/x509/der-writer.js';
import { encodeExtension, extensionOids } from '../src/ca/x509/extensions.js';
import { encodeGeneralNames } from '../src/ca/x509/general-names.js';
import { lintLeaf } from '../src/ca/x509/lint.js';
import { encodeName } from '../src/ca/x509/name.js';
import { decodePem, encodePem } from '../src/ca/x509/pem.js';
import { assembleCertificate, createLeafTemplate } from '../src/ca/x509/template.js';
import type { AltName, DistinguishedName, LeafSpec } from '../src/ca/x509/types.js';

const subject: DistinguishedName = [
  { oid: '2.5.4.10', value: 'system:nodes' },
  { oid: '2.5.4.3', value: 'system:node:worker-17' },
];
const names: AltName[] = [
  { kind: 'dns', value: 'worker-17' },
  { kind: 'ip', value: '10.0.3.17' },
];

/** CPU time per call in the best of several rounds: what else the machine does only ever adds. */
function measure(label: string, work: () => unknown): number {
  for (let i = 0; i < 1000; i += 1) work();
  let best = Infinity;
  for (let round = 0; round < 10; round += 1) {
    const start = process.cpuUsage();
    const until = performance.now() + 100;
    let count = 0;
    for (; performance.now() < until; count += 20) for (let i = 0; i < 20; i += 1) work();
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, (user + system) / count);
  }
  const perSecond = Math.round(1e6 / best).toString();
  console.log(`${label.padEnd(44)}${best.toFixed(1).padStart(8)} µs${perSecond.padStart(9)} /s`);
  return best;
}

const day = 24 * 60 * 60 * 1000;
const now = Date.UTC(2026, 10, 23);
const authorityKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const leafKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spki = leafKey.publicKey.export({ format: 'der', type: 'spki' });
const jwk = leafKey.publicKey.export({ format: 'jwk' });

function request(withNames: readonly AltName[]): Buffer {
  const extensions = sequence(encodeExtension(extensionOids.subjectAltName, false, encodeGeneralNames(withNames)));
  const attribute = sequence(Buffer.from('06092a864886f70d01090e', 'hex'), element(0x31, extensions));
  const info = sequence(
    Buffer.from([2, 1, 0]),
    encodeName(subject),
    spki,
    element(0xa0, ...(withNames.length > 0 ? [attribute] : [])),
  );
  return sequence(
    info,
    Buffer.from('300a06082a8648ce3d040302', 'hex'),
    octetAlignedBits(sign('sha256', info, leafKey.privateKey)),
  );
}

const serial = Buffer.from('0123456789abcdef0123456789abcdef', 'hex');
const authority = readCertificate(
  await buildAuthorityCertificate({
    commonName: 'kubernetes',
    spki: authorityKey.publicKey.export({ format: 'der', type: 'spki' }),
    keyType: 'ec-p256',
    serial,
    notBefore: now - day,
    notAfter: now + 3650 * day,
    sign: (tbs) => sign('sha256', tbs, authorityKey.privateKey),
  }),
);
const issuer = {
  subjectDer: authority.subjectDer,
  ski: Buffer.from(authority.subjectKeyId ?? '', 'hex'),
  keyType: 'ec-p256',
  notAfter: authority.notAfter,
} as const;
const template = createLeafTemplate(issuer);
const spec: LeafSpec = {
  serial,
  subject,
  names,
  spki,
  notBefore: now - 5 * 60 * 1000,
  notAfter: now + 30 * day,
  keyUsages: ['digitalSignature'],
  extendedKeyUsages: ['1.3.6.1.5.5.7.3.1'],
};

const plain = request([]);
const serving = request(names);
const pem = encodePem('CERTIFICATE REQUEST', serving);
const data = serving.subarray(4, 4 + 150);
const signature = sign('sha256', data, leafKey.privateKey);
const tbs = template.encodeTbs(spec);
const certificate = assembleCertificate(tbs, sign('sha256', tbs, authorityKey.privateKey), 'ec-p256');
const many = request(Array.from({ length: 3000 }, (_, i) => ({ kind: 'dns', value: `n${i}.example.org` }) as const));
const manySmall = Math.round(many.length / 1024);

console.log('P-256, CPU time of one core\n');
const floor = measure('import key (JWK) + verify', () =>
  verify('sha256', data, createPublicKey({ key: jwk, format: 'jwk' }), signature),
);
measure('  of that, verify alone', () => verify('sha256', data, leafKey.publicKey, signature));
measure('  import from SPKI instead', () => createPublicKey({ key: spki, format: 'der', type: 'spki' }));
const full = measure('readCsr, two names', () => readCsr(serving));
measure('readCsr, no names', () => readCsr(plain));
console.log(`${'  beyond import and verify'.padEnd(44)}${(full - floor).toFixed(1).padStart(8)} µs`);
measure('  parseCsr alone', () => parseCsr(serving));
measure('decodePem, strict', () => decodePem(pem, { label: 'CERTIFICATE REQUEST', mode: 'strict' }));
measure('decodePem, upstream', () => decodePem(pem, { label: 'CERTIFICATE REQUEST', mode: 'upstream' }));
measure('encodeTbs', () => template.encodeTbs(spec));
measure('lintLeaf', () => {
  lintLeaf(tbs, spec, issuer);
});
measure('encodeTbs + lintLeaf', () => {
  lintLeaf(template.encodeTbs(spec), spec, issuer);
});
measure('sign, the raw floor', () => sign('sha256', tbs, authorityKey.privateKey));
measure('assembleCertificate + encodePem', () =>
  encodePem('CERTIFICATE', assembleCertificate(tbs, signature, 'ec-p256')),
);
measure('readCertificate, key not imported', () => readCertificate(certificate));
measure(`readCsr, 3,000 names, ${manySmall} KiB`, () => readCsr(many));
