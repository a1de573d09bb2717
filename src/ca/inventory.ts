import { isIP } from 'node:net';

import ipaddr from 'ipaddr.js';

import { RotundaError } from '../errors.js';
import {
  countExpiring,
  findCertificateWithNames,
  nextExpiry,
  searchCertificates,
  type CertificateWithNames,
} from '../store/queries/certificates.js';
import type { Store } from '../store/types.js';
import type { Ca, CertificateFilter, CertificateRecord } from './types.js';
import { encodePem } from './x509/pem.js';
import { ipText } from './x509/ip.js';

/** The certificates that were issued. */
export function createInventory({ db }: Store): Ca['certificates'] {
  return Object.freeze({
    async list(filter: CertificateFilter) {
      const page = await searchCertificates(db, canonical(filter));
      return { items: page.items.map(toRecord), continue: page.continue };
    },
    async get(serial: string) {
      const found = await findCertificateWithNames(db, serial.toLowerCase());
      if (found === undefined)
        throw new RotundaError('not-found', `there is no certificate with the serial ${JSON.stringify(serial)}`);
      return toRecord(found);
    },
    async expiry(now: number, horizonsMs: readonly number[]) {
      const counts = await Promise.all(
        horizonsMs.map(async (withinMs) =>
          (await countExpiring(db, now, withinMs)).map(({ ring, count }) => ({ ring, withinMs, count })),
        ),
      );
      return { next: await nextExpiry(db, now), counts: counts.flat() };
    },
  });
}

/** Addresses and serials are stored in one spelling; a search may use another. */
function canonical(filter: CertificateFilter): CertificateFilter {
  const { serial, address } = filter;
  return {
    ...filter,
    ...(serial === undefined ? {} : { serial: serial.toLowerCase() }),
    ...(address === undefined ? {} : { address: canonicalAddress(address) }),
  };
}

function canonicalAddress(address: string): string {
  // node:net is strict; ipaddr.js alone would take `010.1` for an address.
  if (isIP(address) === 0) throw new RotundaError('bad-request', `${JSON.stringify(address)} is not an IP address`);
  // An IPv4 address written as IPv6 is that IPv4 address: no certificate carries it in the other form.
  return ipText(Buffer.from(ipaddr.process(address).toByteArray()));
}

function toRecord({ row, names }: CertificateWithNames): CertificateRecord {
  return {
    serial: row.serial,
    ring: row.ring,
    authority: row.ski,
    profile: row.profile,
    subject: row.subject,
    commonName: row.common_name,
    names: names.map(({ kind, value }) => ({ kind, value })),
    node: row.node ?? undefined,
    cluster: row.cluster ?? undefined,
    member: row.member ?? undefined,
    keyId: row.key_id,
    fingerprint: row.fingerprint,
    notBefore: row.not_before,
    notAfter: row.not_after,
    pem: encodePem('CERTIFICATE', row.der),
    requester: row.requester,
    requestName: row.request_name ?? undefined,
    tokenId: row.token_id ?? undefined,
    issuedAt: row.issued_at,
    firstUsedAt: row.first_used_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    revocationReason: row.revocation_reason ?? undefined,
    renewFrom: row.renew_from ?? undefined,
    renewUntil: row.renew_until ?? undefined,
    supersededAt: row.superseded_at ?? undefined,
  };
}
