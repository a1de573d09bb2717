import { z } from 'zod';

import type { CertificateRecord } from '../../ca/types.js';
import type { Context } from '../../context.js';
import { defined, optionalTime, timeOf, timeText } from './schemas.js';

export const certificateSchema = z
  .object({
    serial: z.string().meta({ description: 'Lower-case hex' }),
    ring: z.string(),
    authority: z.string().meta({ description: 'Subject key identifier of the issuing authority' }),
    profile: z.string(),
    subject: z.string().meta({ description: 'RFC 4514' }),
    commonName: z.string(),
    names: z.array(z.object({ kind: z.enum(['dns', 'ip', 'email', 'uri']), value: z.string() })),
    node: z.string().optional(),
    cluster: z.string().optional(),
    member: z.string().optional(),
    keyId: z.string().meta({ description: 'SHA-256 of the SubjectPublicKeyInfo, lower-case hex' }),
    fingerprint: z.string().meta({ description: 'SHA-256 of the DER, lower-case hex' }),
    notBefore: timeText,
    notAfter: timeText,
    requester: z.string(),
    request: z.string().optional().meta({ description: 'Name of the request that it answers' }),
    token: z.string().optional().meta({ description: 'Id of the token that it was given to' }),
    issuedAt: timeText,
    firstUsedAt: timeText.optional(),
    revokedAt: timeText.optional(),
    revocationReason: z.string().optional(),
    supersededAt: timeText.optional().meta({
      description: 'From when on nothing presents it: its successor was seen in its place, or somebody said so',
    }),
    renewal: z
      .object({ start: timeText, end: timeText })
      .optional()
      .meta({ description: 'What was planned when it was issued; renewal-info says what counts now' }),
    banned: z.string().optional().meta({ description: 'Why its holder is refused now, though it may be valid' }),
    certificate: z.string().meta({ description: 'PEM' }),
  })
  .meta({ id: 'Certificate', description: 'One issued leaf in the inventory' });

export type CertificateView = z.output<typeof certificateSchema>;

/** As openssl and browsers print serials too: upper case, with colons. */
export function serialOf(given: string): string {
  return given.replaceAll(':', '').toLowerCase();
}

export function certificateView(record: CertificateRecord, bans: Context['bans']): CertificateView {
  const { serial, ring, authority, profile, subject, commonName, names, node, cluster, member } = record;
  return defined({
    serial,
    ring,
    authority,
    profile,
    subject,
    commonName,
    names: names.map(({ kind, value }) => ({ kind, value })),
    node,
    cluster,
    member,
    keyId: record.keyId,
    fingerprint: record.fingerprint,
    notBefore: timeOf(record.notBefore),
    notAfter: timeOf(record.notAfter),
    requester: record.requester,
    request: record.requestName,
    token: record.tokenId,
    issuedAt: timeOf(record.issuedAt),
    firstUsedAt: optionalTime(record.firstUsedAt),
    revokedAt: optionalTime(record.revokedAt),
    revocationReason: record.revocationReason,
    supersededAt: optionalTime(record.supersededAt),
    renewal: windowOf(record),
    banned: bans.isBanned(ring, serial, commonName)?.reason,
    certificate: record.pem,
  });
}

function windowOf({ renewFrom, renewUntil }: CertificateRecord): CertificateView['renewal'] {
  if (renewFrom === undefined || renewUntil === undefined) return undefined;
  return { start: timeOf(renewFrom), end: timeOf(renewUntil) };
}
