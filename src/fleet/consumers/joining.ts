import type { LeafOrder } from '../../ca/types.js';
import { RotundaError } from '../../errors.js';
import {
  type ConsumerRingRow,
  findConsumerRings,
  findRingBundle,
  insertConsumerRing,
  updateConsumerRing,
} from '../../store/queries/consumer-rings.js';
import {
  type ConsumerRow,
  findConsumer,
  insertConsumer,
  raiseExpiry,
  updateConsumer,
} from '../../store/queries/consumers.js';
import type { WriteTx } from '../../store/types.js';
import { consumerOf } from './identities.js';
import { detailOf, newConsumerRow, newRingRow, publishConsumer, resource, ringRowOf, stateOf } from './records.js';
import { afterStatement, ofRejoined } from './reports.js';
import { type ConsumersRoom, nowOf, record, service } from './room.js';
import type { IssuedFacts, JoinerDraft } from './types.js';

/**
 * Registers who is given a certificate, in the transaction of the ledger's intent: before there is a certificate there is
 * somebody whom gates wait for. A renewal of a consumer that is known to be registered costs no query.
 */
export async function registerIssued(
  room: ConsumersRoom,
  tx: WriteTx,
  order: LeafOrder,
  facts: IssuedFacts,
): Promise<void> {
  const holder = consumerOf(order, room.topology, facts.machine);
  if (holder === undefined) return;
  await registerJoiner(room, tx, {
    ...holder,
    source: 'issued',
    joinerIn: facts.joinerIn ?? [],
    ...(facts.stated !== undefined && { stated: facts.stated }),
    ...((order.tokenId !== undefined || facts.joined === true) && {
      joinedBy: { token: order.tokenId ?? '', profile: order.profile },
    }),
  });
}

/** Throws 'forbidden' for a quarantined consumer, unless it begins anew: that is its way back. */
export async function registerJoiner(room: ConsumersRoom, tx: WriteTx, draft: JoinerDraft): Promise<void> {
  const name = `${draft.class}/${draft.name}`;
  const until = draft.expiresAt ?? Infinity;
  const { memory } = room;
  if (draft.joinedBy === undefined && (memory.known(name) ?? -1) >= until) return;
  const row = rowOf(room, tx, name, draft);
  if (await insertConsumer(tx.db, row)) await begin(room, tx, row, draft);
  else if (draft.joinedBy === undefined) await goOn(tx, name, draft);
  else await joinOn(room, tx, name, { ...draft, joinedBy: draft.joinedBy });
  tx.onCommit(() => {
    memory.learn(name, until);
  });
}

function rowOf(room: ConsumersRoom, tx: WriteTx, name: string, draft: JoinerDraft): ConsumerRow {
  const made = { name, class: draft.class, source: draft.source, now: nowOf(room), by: service };
  return newConsumerRow(
    { ...made, revision: tx.nextRevision() },
    { node: draft.node ?? null, expires_at: draft.expiresAt ?? null, lease_ms: draft.leaseMs ?? null },
  );
}

async function begin(room: ConsumersRoom, tx: WriteTx, row: ConsumerRow, draft: JoinerDraft): Promise<void> {
  const { name, created_at: at } = row;
  const { joinedBy } = draft;
  const joining = joinedBy && { at, token: joinedBy.token, profiles: [joinedBy.profile] };
  for (const role of draft.rings)
    await insertConsumerRing(tx.db, newRingRow(name, role, { joiner: isJoiner(draft, role.ring), joining }));
  await tell(room, tx, { action: 'consumer.registered', row, draft });
  await publishConsumer(tx, row, 'ADDED');
  await takeStated(room, tx, name, draft);
}

type TokenJoiner = JoinerDraft & Required<Pick<JoinerDraft, 'joinedBy'>>;

/** A machine that is given another profile on the token that it joined with, or one that was built anew. */
async function joinOn(room: ConsumersRoom, tx: WriteTx, name: string, draft: TokenJoiner): Promise<void> {
  const { token, profile } = draft.joinedBy;
  const present = await findConsumerRings(tx.db, name);
  const joining = present.map((row) => detailOf(row).joining).find((found) => found?.token === token);
  if (joining === undefined || joining.profiles.includes(profile)) {
    await beginAnew(room, tx, { name, present }, draft);
    return;
  }
  const more = { ...joining, profiles: [...joining.profiles, profile] };
  for (const row of present) await updateConsumerRing(tx.db, ringRowOf(row, stateOf(row), more));
  if (draft.expiresAt !== undefined) await raiseExpiry(tx.db, name, draft.expiresAt);
}

/** What was known of the machine before says nothing about this one. */
async function beginAnew(
  room: ConsumersRoom,
  tx: WriteTx,
  { name, present }: { readonly name: string; readonly present: readonly ConsumerRingRow[] },
  draft: TokenJoiner,
): Promise<void> {
  const before = await findConsumer(tx.db, name);
  if (before === undefined) return;
  const { token, profile } = draft.joinedBy;
  const joining = { at: nowOf(room), token, profiles: [profile] };
  const row = rejoined(before, { at: joining.at, expiresAt: draft.expiresAt, revision: tx.nextRevision() });
  await updateConsumer(tx.db, row);
  for (const ring of present)
    await updateConsumerRing(tx.db, ringRowOf(ring, ofRejoined(stateOf(ring), isJoiner(draft, ring.ring)), joining));
  for (const role of draft.rings.filter(({ ring }) => !present.some((row) => row.ring === ring)))
    await insertConsumerRing(tx.db, newRingRow(name, role, { joiner: isJoiner(draft, role.ring), joining }));
  await tell(room, tx, { action: 'consumer.joined-anew', row, draft });
  await publishConsumer(tx, row, 'MODIFIED');
  await takeStated(room, tx, name, draft);
}

function rejoined(
  before: ConsumerRow,
  {
    at,
    expiresAt,
    revision,
  }: { readonly at: number; readonly expiresAt: number | undefined; readonly revision: number },
): ConsumerRow {
  const ends = before.expires_at;
  return {
    ...before,
    ...{ state: 'live', quarantined_at: null, quarantined_by: null, quarantine_reason: null },
    ...{ process: null, process_started_at: null, last_seen_at: null, clock_skew_ms: null },
    expires_at: ends === null ? null : Math.max(ends, expiresAt ?? 0),
    created_at: at,
    revision,
  };
}

/** It was there already, and stays what it was. */
async function goOn(tx: WriteTx, name: string, draft: JoinerDraft): Promise<void> {
  const row = await findConsumer(tx.db, name);
  if (row?.state === 'quarantined') {
    throw new RotundaError('forbidden', `${name} is quarantined: ${row.quarantine_reason ?? ''}`, {
      object: { resource, kind: 'Consumer', name },
      hint: `let it join anew with a token, or see rotunda consumer get ${name}`,
    });
  }
  if (draft.expiresAt !== undefined) await raiseExpiry(tx.db, name, draft.expiresAt);
}

/** Who stated what it holds is no joiner of that ring. */
function isJoiner({ joinerIn, stated }: JoinerDraft, ring: string): boolean {
  return joinerIn.includes(ring) && stated?.ring !== ring;
}

/** What a joiner said that it holds counts as its report, if it named the very bundle. */
async function takeStated(room: ConsumersRoom, tx: WriteTx, name: string, { stated }: JoinerDraft): Promise<void> {
  if (stated === undefined) return;
  const { ring, generation, digest } = stated;
  const bundle = await findRingBundle(tx.db, { ring, generation });
  if (bundle?.digest !== digest) return;
  const row = (await findConsumerRings(tx.db, name)).find((found) => found.ring === ring);
  if (row === undefined) return;
  const loaded = { generation, evidence: 'self-report', clean: true } as const;
  const next = afterStatement(stateOf(row), { loaded }, { process: undefined, now: nowOf(room) });
  if (next !== undefined) await updateConsumerRing(tx.db, ringRowOf(row, next));
}

function tell(
  room: ConsumersRoom,
  tx: WriteTx,
  told: { readonly action: string; readonly row: ConsumerRow; readonly draft: JoinerDraft },
): Promise<void> {
  const { action, row, draft } = told;
  const { class: of, source, joinerIn, rings } = draft;
  const verifies = rings.filter(({ verifies: does }) => does).map(({ ring }) => ring);
  const joiner = joinerIn.filter((ring) => verifies.includes(ring));
  const detail = { class: of, source, verifies, ...(joiner.length > 0 && { joiner }) };
  return record(room, tx, { action, name: row.name, actor: service, detail, now: nowOf(room) });
}
