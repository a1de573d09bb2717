import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, writeSync } from 'node:fs';

import { element, octetAlignedBits, oid, sequence, setOf, unsignedInteger } from '../ca/x509/der-writer.js';
import { tags } from '../ca/x509/der.js';
import { encodeExtension, extensionOids } from '../ca/x509/extensions.js';
import { encodeGeneralNames } from '../ca/x509/general-names.js';
import { attributeOids, encodeName } from '../ca/x509/name.js';
import { encodePem } from '../ca/x509/pem.js';
import type { AltName } from '../ca/x509/types.js';
import { localFailure } from './failure.js';
import { readText } from '../kubeconfig.js';

export type CsrContent = {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly names: readonly AltName[];
};

const extensionRequest = '1.2.840.113549.1.9.14';
const algorithms: Readonly<Record<string, { readonly identifier: Buffer; readonly hash: string | null }>> = {
  'ec-prime256v1': { identifier: sequence(oid('1.2.840.10045.4.3.2')), hash: 'sha256' },
  'ec-secp384r1': { identifier: sequence(oid('1.2.840.10045.4.3.3')), hash: 'sha384' },
  'ec-secp521r1': { identifier: sequence(oid('1.2.840.10045.4.3.4')), hash: 'sha512' },
  rsa: { identifier: sequence(oid('1.2.840.113549.1.1.11'), element(tags.null)), hash: 'sha256' },
  ed25519: { identifier: sequence(oid('1.3.101.112')), hash: null },
};

/** The key in this file; a P-256 key is made there (0600) when there is no file. It is never overwritten. */
export function loadOrMakeKey(file: string): KeyObject {
  if (!existsSync(file)) writeNewKey(file);
  try {
    return createPrivateKey(readText(file));
  } catch (error) {
    throw localFailure(`${file} is not a private key in PEM`, { cause: error });
  }
}

function writeNewKey(file: string): void {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  try {
    const handle = openSync(file, 'wx', 0o600);
    try {
      writeSync(handle, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    throw localFailure(`cannot write the key ${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** A PKCS#10 request (RFC 2986) signed by its key, PEM. */
export function makeCsr(key: KeyObject, content: CsrContent): string {
  const algorithm = algorithms[algorithmOf(key)];
  if (algorithm === undefined) {
    throw localFailure('the key has a type that is not issued for', {
      hints: ['use P-256, P-384, P-521, RSA of 2048 bits or more, or Ed25519'],
    });
  }
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const info = sequence(unsignedInteger(Buffer.from([0])), subjectOf(content), spki, attributesOf(content.names));
  const signature = sign(algorithm.hash, info, key);
  return encodePem('CERTIFICATE REQUEST', sequence(info, algorithm.identifier, octetAlignedBits(signature)));
}

function algorithmOf(key: KeyObject): string {
  const { asymmetricKeyType, asymmetricKeyDetails } = key;
  return asymmetricKeyType === 'ec' ? `ec-${asymmetricKeyDetails?.namedCurve ?? ''}` : (asymmetricKeyType ?? '');
}

function subjectOf({ commonName, organizations }: CsrContent): Buffer {
  const organization = organizations.map((value) => ({ oid: attributeOids.organization, value }));
  return encodeName([
    ...organization,
    ...(commonName === '' ? [] : [{ oid: attributeOids.commonName, value: commonName }]),
  ]);
}

/** [0] IMPLICIT SET OF Attribute, which is there even when it is empty. */
function attributesOf(names: readonly AltName[]): Buffer {
  if (names.length === 0) return element(0xa0);
  const extension = encodeExtension(extensionOids.subjectAltName, false, encodeGeneralNames(names));
  return element(0xa0, sequence(oid(extensionRequest), setOf([sequence(extension)])));
}
