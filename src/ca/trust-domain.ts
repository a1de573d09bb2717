import { RotundaError } from '../errors.js';
import type { DomainChange, PreparedChange, Successor, TrustDomain } from '../rotation/domain.js';
import type { RotationOptions } from '../rotation/types.js';
import { insertAuthority, insertAuthorityCertificate } from '../store/queries/authorities.js';
import { authorityRows, certificateRow, crossSign, issuingCertificate, makeAuthority, reissue } from './authorities.js';
import { openKey, type TrustDomainOptions } from './authority-keys.js';
import { prepareChange } from './ring-change.js';
import { readDomainFacts } from './domain-facts.js';
import { serialNumber } from './issuing.js';
import type { Authority, CaKeyType, RingConfig } from './types.js';
import type { CertificateFacts } from './x509/types.js';

/** Rings of X.509 authorities, as a rotation changes them. */
export function createTrustDomain(options: TrustDomainOptions): TrustDomain {
  return Object.freeze({
    successor: async (ring: string, wanted: Parameters<TrustDomain['successor']>[1]): Promise<Successor> => {
      // Another replica may have changed the ring, and this one not have heard yet.
      await options.ca.reload();
      return wanted.sameKey ? reissued(options, ring) : successor(options, ring, wanted);
    },
    prepare: (change: DomainChange): Promise<PreparedChange> => prepareChange(options, change),
    facts: readDomainFacts,
    reload: () => options.ca.reload(),
  });
}

function configOf({ rings }: TrustDomainOptions, name: string): RingConfig {
  const found = rings.find((ring) => ring.name === name);
  if (found === undefined) throw new RotundaError('not-found', `there is no ring ${JSON.stringify(name)}`);
  return found;
}

async function successor(
  options: TrustDomainOptions,
  name: string,
  wanted: RotationOptions & { readonly crossSign: boolean },
): Promise<Successor> {
  const { ca, keys, clock, random } = options;
  const ring = { ...configOf(options, name), ...(wanted.keyType === undefined ? {} : { keyType: wanted.keyType }) };
  const now = clock.now().getTime();
  const number = ca.authorities(name).length + 1;
  const made = await makeAuthority(ring, number, { keys, now, serial: serialNumber(random, now) });
  const cross = wanted.crossSign
    ? await crossCertificate(options, ca.ring(name).active, made.facts, ring.keyType)
    : undefined;
  return {
    key: made.ski,
    crossSigned: cross !== undefined,
    store: async (tx, at) => {
      const rows = authorityRows(made, at, 'staged');
      await insertAuthority(tx.db, rows.authority);
      await insertAuthorityCertificate(tx.db, rows.certificate);
      if (cross !== undefined)
        await insertAuthorityCertificate(tx.db, certificateRow(cross, made.ski, 'cross-signed', at));
    },
  };
}

async function crossCertificate(
  options: TrustDomainOptions,
  active: Authority,
  subject: CertificateFacts,
  keyType: CaKeyType,
): Promise<CertificateFacts> {
  const now = options.clock.now().getTime();
  const key = await openKey(options, active);
  const serial = serialNumber(options.random, now);
  return crossSign(subject, { facts: issuingCertificate(active), key }, { now, serial, keyType });
}

/** The same authority with another certificate: it signs on, and what it signed stays good. */
async function reissued(options: TrustDomainOptions, name: string): Promise<Successor> {
  const { ca, clock, random } = options;
  const { active } = ca.ring(name);
  const now = clock.now().getTime();
  const key = await openKey(options, active);
  const { lifetimeMs } = configOf(options, name);
  const own = { facts: issuingCertificate(active), key };
  const facts = await reissue(own, { now, serial: serialNumber(random, now), lifetimeMs });
  return {
    key: active.ski,
    crossSigned: false,
    store: (tx, at) => insertAuthorityCertificate(tx.db, certificateRow(facts, active.ski, 'reissued', at)),
  };
}
