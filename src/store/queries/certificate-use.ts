import type { Kysely, Selectable, Transaction } from 'kysely';

import type { Schema } from '../schema.js';
import { prepared } from '../precompiled.js';

export type CertificateUseRow = Pick<
  Selectable<Schema['certificates']>,
  | 'serial'
  | 'ring'
  | 'common_name'
  | 'fingerprint'
  | 'profile'
  | 'node'
  | 'cluster'
  | 'member'
  | 'token_id'
  | 'requester'
  | 'issued_at'
  | 'first_used_at'
  | 'revoked_at'
  | 'superseded_at'
>;

const columns = [
  'serial',
  'ring',
  'common_name',
  'fingerprint',
  'profile',
  'node',
  'cluster',
  'member',
  'token_id',
  'requester',
  'issued_at',
  'first_used_at',
  'revoked_at',
  'superseded_at',
] as const;

const bySerial = prepared((db, parameters: { serial: string }) =>
  db.selectFrom('certificates').select(columns).where('serial', '=', parameters.serial),
);

/** What authentication needs to know of a certificate in the inventory. */
export function findCertificateUse(db: Kysely<Schema>, serial: string): Promise<CertificateUseRow | undefined> {
  return bySerial.first(db, { serial });
}

export type CredentialUseRow = CertificateUseRow & Pick<Selectable<Schema['certificates']>, 'not_after'>;

const byFingerprint = prepared((db, parameters: { commonName: string; fingerprint: string }) =>
  db
    .selectFrom('certificates')
    .select([...columns, 'not_after'])
    .where('common_name', '=', parameters.commonName)
    .where('fingerprint', '=', parameters.fingerprint),
);

/** The certificate of this name that somebody else has verified; the name has the index. */
export function findCredentialUse(
  db: Kysely<Schema>,
  credential: { readonly commonName: string; readonly fingerprint: string },
): Promise<CredentialUseRow | undefined> {
  return byFingerprint.first(db, credential);
}

const firstUse = prepared<{ serial: string; at: number }, never>((db, parameters) =>
  db
    .updateTable('certificates')
    .set({ first_used_at: parameters.at })
    .where('serial', '=', parameters.serial)
    .where('first_used_at', 'is', null),
);

/** Notes the first use; false when it is noted already. */
export async function markFirstUse(db: Transaction<Schema>, serial: string, at: number): Promise<boolean> {
  return (await firstUse.run(db, { serial, at })) === 1;
}
