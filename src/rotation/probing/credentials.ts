import { generateKeyPair, sign } from 'node:crypto';
import { promisify } from 'node:util';

import type { Ca, Canary } from '../../ca/types.js';
import { buildAuthorityCertificate } from '../../ca/x509/authority.js';
import { encodePem } from '../../ca/x509/pem.js';
import type { Clock, Random } from '../../clock.js';
import { RotundaError } from '../../errors.js';
import type { ClientCertificate } from './types.js';

const generate = promisify(generateKeyPair);
const lifetimeMs = 24 * 60 * 60_000;
const backdateMs = 5 * 60_000;

export type CredentialOptions = {
  readonly canary: Ca['canary'];
  readonly clock: Clock;
  readonly random: Random;
};

/** Client certificates to try, made when first wanted and replaced at half their life. Their keys stay in this process. */
export type Credentials = {
  /** Undefined where the authority's key is not there, or not to be used. */
  of(ring: string, authority: string): Promise<ClientCertificate | undefined>;
  /** Signed by nobody's authority. */
  control(): Promise<ClientCertificate>;
};

type Kept = { readonly certificate: Promise<ClientCertificate | undefined>; readonly replaceAt: number };

export function createCredentials(options: CredentialOptions): Credentials {
  const kept = new Map<string, Kept>();
  const keep = (name: string, make: () => Promise<ClientCertificate | undefined>): Kept['certificate'] => {
    const now = options.clock.now().getTime();
    const known = kept.get(name);
    // A clock that was set back makes the certificate of a later time.
    if (known !== undefined && now < known.replaceAt && now >= known.replaceAt - lifetimeMs / 2)
      return known.certificate;
    const certificate = make();
    kept.set(name, { certificate, replaceAt: now + lifetimeMs / 2 });
    // Without one, the next round tries again.
    const forget = (): void => void kept.delete(name);
    certificate.then((made) => (made === undefined ? forget() : undefined), forget);
    return certificate;
  };
  return {
    of: (ring, authority) => keep(`${ring} ${authority}`, () => canaryOf(options, ring, authority)),
    control: async () => {
      const made = await keep('', () => makeControl(options));
      if (made === undefined) throw new RotundaError('internal', 'no certificate to compare with');
      return made;
    },
  };
}

async function canaryOf({ canary }: CredentialOptions, ring: string, authority: string): Promise<Canary | undefined> {
  try {
    return await canary({ ring, authority, kind: 'client', names: [], lifetimeMs });
  } catch (error) {
    if (error instanceof RotundaError && error.code === 'unavailable') return undefined;
    throw error;
  }
}

/** Self-signed, by a key that is forgotten with this process. */
async function makeControl({ clock, random }: CredentialOptions): Promise<ClientCertificate> {
  const { publicKey, privateKey } = await generate('ec', { namedCurve: 'P-256' });
  const now = clock.now().getTime();
  const der = await buildAuthorityCertificate({
    commonName: 'rotunda-control',
    spki: publicKey.export({ format: 'der', type: 'spki' }),
    keyType: 'ec-p256',
    serial: Buffer.concat([Buffer.from([1]), random.bytes(15)]),
    notBefore: now - backdateMs,
    notAfter: now + lifetimeMs,
    sign: (tbs) => sign('sha256', tbs, privateKey),
  });
  return {
    certificatePem: encodePem('CERTIFICATE', der),
    keyPem: encodePem('PRIVATE KEY', privateKey.export({ format: 'der', type: 'pkcs8' })),
  };
}
