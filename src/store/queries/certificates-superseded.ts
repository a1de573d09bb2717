import type { Transaction } from 'kysely';

import type { Schema } from '../schema.js';
import { settleSuccessor, supersedeEarlier, unsupersede } from './authority-use.js';

/**
 * A certificate was seen in use at `at`, milliseconds, by somebody who proved to have its key: it is in use whatever was
 * thought of it, and those that it took the place of are not. Answers with their serials; undefined when this is none of
 * the inventory, byte for byte.
 */
export async function supersedeBy(
  db: Transaction<Schema>,
  used: { readonly serial: string; readonly fingerprint: string; readonly at: number },
): Promise<readonly string[] | undefined> {
  const found = await db
    .selectFrom('certificates')
    .select(['serial', 'fingerprint', 'profile', 'node', 'cluster', 'member', 'issued_at', 'superseded_at'])
    .where('serial', '=', used.serial)
    .executeTakeFirst();
  if (found?.fingerprint !== used.fingerprint) return undefined;
  if (found.superseded_at !== null) await unsupersede(db, found.serial);
  await settleSuccessor(db, found.serial, used.at);
  return supersedeEarlier(db, found, used.at);
}
