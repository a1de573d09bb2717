import type { Clock } from '../clock.js';
import { RotundaError } from '../errors.js';
import { findSerialBan } from '../store/queries/bans.js';
import { insertCertificate, type NewCertificateRow } from '../store/queries/certificates.js';
import {
  insertCanaryLedger,
  insertLedger,
  listIntended,
  settleLedger,
  type NewLedgerRow,
} from '../store/queries/ledger.js';
import type { Store, WriteTx } from '../store/types.js';
import type { IssuedCertificate, PreparedCertificate } from './types.js';
import { formatDistinguishedName, rebuildSubject } from './x509/name.js';
import type { AltName } from './x509/types.js';

/**
 * How long an intent of another replica may be on its way. Signing takes milliseconds; after ten minutes its process is
 * gone or has given up, and should it come back after all, `record` refuses it.
 */
export const abandonAfterMs = 10 * 60 * 1000;

const recoveryBatch = 1000;

/** The write-ahead record of every signature. Rows change state and are never deleted: a serial stays taken. */
export type Ledger = {
  /** Writes the intent; answers whether the ring still signs as it did when the certificate was prepared. */
  intend(tx: WriteTx, prepared: PreparedCertificate): Promise<boolean>;
  /** As intend, for an authority that does not sign for its ring; answers whether its key may be used. */
  intendCanary(tx: WriteTx, prepared: PreparedCertificate): Promise<boolean>;
  /** From `intended` to `issued`, and into the inventory, there as revoked when it is banned by now. Throws RotundaError 'conflict' when it was abandoned meanwhile. */
  record(tx: WriteTx, issued: IssuedCertificate): Promise<void>;
  /** Abandons what a crash left `intended`; answers how many rows. */
  recover(): Promise<number>;
};

/** Serials that this process has intended and not recorded: since when, and the Subject's text, which both rows hold. */
type InFlight = Map<string, { readonly since: number; readonly subject: string }>;

export function createLedger({ store, clock }: { readonly store: Store; readonly clock: Clock }): Ledger {
  const inFlight: InFlight = new Map();
  const intendWith = async (
    insert: typeof insertLedger,
    tx: WriteTx,
    prepared: PreparedCertificate,
  ): Promise<boolean> => {
    const now = clock.now().getTime();
    const subject = subjectText(prepared.order.subject);
    const inserted = await insert(tx.db, ledgerRow(prepared, subject, now));
    if (inserted) inFlight.set(prepared.serial, { since: now, subject });
    return inserted;
  };
  return Object.freeze({
    intend: (tx: WriteTx, prepared: PreparedCertificate) => intendWith(insertLedger, tx, prepared),
    intendCanary: (tx: WriteTx, prepared: PreparedCertificate) => intendWith(insertCanaryLedger, tx, prepared),
    async record(tx: WriteTx, issued: IssuedCertificate) {
      const { serial, order } = issued.prepared;
      if (!(await settleLedger(tx.db, serial, 'issued'))) {
        throw new RotundaError('conflict', `the ledger no longer expects the certificate ${serial}`);
      }
      const subject = inFlight.get(serial)?.subject ?? subjectText(order.subject);
      const row = certificateRow(issued, subject, clock.now().getTime());
      // What was banned while it was being signed was not there yet to be marked.
      const ban = await findSerialBan(tx.db, { ring: order.ring, serial });
      const revoked = ban === undefined ? {} : { revoked_at: ban.created_at, revocation_reason: ban.reason };
      await insertCertificate(tx.db, { ...row, ...revoked }, distinct(order.names));
      tx.onCommit(() => {
        inFlight.delete(serial);
      });
    },
    recover: () => recover(store, clock.now().getTime(), inFlight),
  });
}

/**
 * SQLite has one process: whatever is intended there and not in flight here was left by one that is dead, however the
 * clock has moved since. With PostgreSQL another replica may be about to sign, so only what is old is abandoned.
 */
async function recover(store: Store, now: number, inFlight: InFlight): Promise<number> {
  const createdBefore = store.engine === 'sqlite' ? Number.MAX_SAFE_INTEGER : now - abandonAfterMs;
  for (const [serial, { since }] of inFlight) {
    if (since < now - abandonAfterMs) inFlight.delete(serial);
  }
  let abandoned = 0;
  for (;;) {
    const count = await store.write(async ({ db }) => {
      const rows = await listIntended(db, { createdBefore, limit: recoveryBatch + inFlight.size });
      const left = rows.filter((row) => !inFlight.has(row.serial));
      for (const row of left) await settleLedger(db, row.serial, 'abandoned');
      return left.length;
    });
    abandoned += count;
    if (count < recoveryBatch) return abandoned;
  }
}

function ledgerRow(
  { order, spec, serial, ski, epoch }: PreparedCertificate,
  subject: string,
  now: number,
): NewLedgerRow {
  return {
    serial,
    ring: order.ring,
    ski,
    epoch,
    profile: order.profile,
    subject,
    names: JSON.stringify(spec.names.map((name) => `${name.kind}:${name.value}`)),
    key_id: order.keyId,
    not_before: spec.notBefore,
    not_after: spec.notAfter,
    requester: order.requester,
    request_name: order.requestName ?? null,
    request_uid: order.requestUid ?? null,
    state: 'intended',
    created_at: now,
  };
}

function certificateRow(
  { prepared, der, fingerprint }: IssuedCertificate,
  subject: string,
  now: number,
): NewCertificateRow {
  const { order, spec, serial, ski } = prepared;
  return {
    serial,
    ring: order.ring,
    ski,
    profile: order.profile,
    subject,
    common_name: order.commonName,
    node: order.node ?? null,
    cluster: order.cluster ?? null,
    member: order.member ?? null,
    key_id: order.keyId,
    fingerprint,
    not_before: spec.notBefore,
    not_after: spec.notAfter,
    der,
    requester: order.requester,
    request_name: order.requestName ?? null,
    token_id: order.tokenId ?? null,
    issued_at: now,
    first_used_at: null,
    revoked_at: null,
    revocation_reason: null,
    renew_from: order.renewFrom ?? null,
    renew_until: order.renewUntil ?? null,
  };
}

/** RFC 4514 text of the subject as the certificate has it. */
function subjectText(subject: PreparedCertificate['spec']['subject']): string {
  return formatDistinguishedName(rebuildSubject(subject));
}

/** A name may stand in a certificate twice, as in its request; a search finds it once. */
function distinct(names: readonly AltName[]): readonly AltName[] {
  if (names.length < 2) return names;
  return [...new Map(names.map((name) => [`${name.kind}:${name.value}`, name])).values()];
}
