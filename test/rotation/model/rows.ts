import { bundleRow } from '../../../src/ca/bundles.js';
import type { CertificateFacts } from '../../../src/ca/x509/types.js';
import type { Context } from '../../../src/context.js';
import { rotationRow } from '../../../src/rotation/rows.js';
import type { Rotation, RotationState } from '../../../src/rotation/types.js';
import { insertBundle } from '../../../src/store/queries/bundles.js';
import { changeRing } from '../../../src/store/queries/ring-changes.js';
import type { WriteTx } from '../../../src/store/types.js';
import type { ServiceState } from './protocol.js';

const hourMs = 3_600_000;

/** A ring with both of its authorities, in a database of which everything else follows from the state that is written. */
export type Stage = {
  readonly context: Context;
  readonly ring: string;
  readonly old: CertificateFacts;
  readonly next: CertificateFacts;
  readonly crossFingerprint: string;
  readonly rotation: Rotation;
  /** The class whose attestation is withdrawn where a class shall be undeclared. */
  readonly undeclared: string;
};

const states: readonly RotationState[] = [
  ...(['staged', 'trusting', 'canary', 'issuing', 'drained', 'distrusting', 'cooling', 'untrusting'] as const),
  ...(['returning', 'retrusting', 'declared', 'spreading', 'reissuing', 'cut', 'recovering'] as const),
];

/** The rotation that a state of the model is, with all that only time has to do with long past. */
export function rotationOf(stage: Stage, state: ServiceState): Rotation {
  const now = stage.context.clock.now().getTime();
  const { hour, preference } = state;
  const startedAt = now - 10 * hourMs;
  const deadline = hour === 'deadline' ? now - 1 : hour === 'half' ? now + 5 * hourMs : now + 100 * hourMs;
  const mark = { at: startedAt, generation: state.generation };
  return {
    ...stage.rotation,
    ...{ kind: state.kind, state: state.state, back: state.back, paused: state.paused, crossSigned: state.crossSigned },
    newKey: state.kind === 'reissue' ? stage.rotation.oldKey : stage.rotation.newKey,
    ...{ policy: 'automatic', epoch: state.epoch, startedAt, stateSince: startedAt },
    // Nobody can be asked for a certificate there: a person has said that the new authority may sign.
    ...(state.state === 'canary' ? { advanced: 'canary' } : {}),
    options: { deadline, preference },
    marks: Object.fromEntries(states.map((of) => [of, mark])),
  };
}

/** Writes the very rows that the service would hold. */
export async function writeState(stage: Stage, tx: WriteTx, state: ServiceState): Promise<void> {
  const { ring, old, next, rotation, context } = stage;
  const { db } = tx;
  const keys = { old: rotation.oldKey, new: rotation.newKey };
  const row = await db.selectFrom('rings').selectAll().where('name', '=', ring).executeTakeFirstOrThrow();
  // With the same key there is one authority, and another certificate of it.
  const signer = state.kind === 'reissue' ? keys.old : keys[state.signer];
  await changeRing(
    db,
    { name: ring, epoch: row.epoch },
    {
      ...{ epoch: state.epoch, generation: state.generation, active_ski: signer, frozen: state.frozen ? 1 : 0 },
      ...{ join_floor: state.joinFloor, joins_held: state.joinsHeld ? 1 : 0 },
      cross_certificate: state.crossInChains ? stage.crossFingerprint : null,
    },
  );
  await db.deleteFrom('bundles').where('ring', '=', ring).execute();
  const anchors = { old: [old], both: [old, next], new: [next] };
  for (const [index, holds] of state.bundles.entries())
    await insertBundle(db, bundleRow(ring, index + 1, anchors[state.kind === 'reissue' ? 'old' : holds], 0));
  await writeConsumers(stage, tx, state);
  await writeLeaves(stage, tx, state);
  await db.deleteFrom('rotations').execute();
  await db
    .insertInto('rotations')
    .values(rotationRow(rotationOf(stage, state)))
    .execute();
  await db
    .updateTable('attestations')
    .set({ revoked_at: state.undeclaredClass ? context.clock.now().getTime() : null })
    .where('class', '=', stage.undeclared)
    .execute();
}

async function writeConsumers({ ring, context }: Stage, { db }: WriteTx, state: ServiceState): Promise<void> {
  const now = context.clock.now().getTime();
  await db.deleteFrom('consumers').where('class', '<>', 'rotunda').execute();
  await db.deleteFrom('consumer_rings').where('consumer', 'not like', 'rotunda/%').execute();
  // The service itself has always loaded what it publishes.
  await db.updateTable('consumer_rings').set({ loaded: state.generation }).where('ring', '=', ring).execute();
  for (const [index, { registered, quarantined, joiner, loaded, clean }] of state.consumers.entries()) {
    if (!registered) continue;
    const consumer = `extension-apiserver/${String(index)}`;
    const process = `process-${String(index)}`;
    await db
      .insertInto('consumers')
      .values({
        ...{ name: consumer, class: 'extension-apiserver', node: null, source: 'api', process, lease_ms: null },
        ...{
          state: quarantined ? 'quarantined' : 'live',
          process_started_at: now,
          last_seen_at: now,
          expires_at: null,
        },
        ...{ software: '', endpoints: '[]', algorithms: '[]', clock_skew_ms: 0, quarantined_at: null },
        ...{ quarantined_by: null, quarantine_reason: null, created_at: 0, created_by: 'a test', revision: 1 },
      })
      .execute();
    await db
      .insertInto('consumer_rings')
      .values({
        ...{ ring, consumer, verifies: 1, presents: 1, joiner: joiner ? 1 : 0, delivered: loaded, delivered_at: now },
        ...{ loaded, evidence: loaded === 0 ? null : 'restart', clean: clean ? 1 : 0, process, acknowledged_at: now },
        ...{ streams_since: now, detail: '{}' },
      })
      .execute();
  }
}

async function writeLeaves({ ring, rotation, context }: Stage, { db }: WriteTx, state: ServiceState): Promise<void> {
  const now = context.clock.now().getTime();
  await db.deleteFrom('certificates').where('ring', '=', ring).execute();
  await db.deleteFrom('ledger').where('ring', '=', ring).execute();
  for (const [of, ski] of [
    ['old', rotation.oldKey],
    ['new', rotation.newKey],
  ] as const) {
    const common = {
      ...{
        serial: `40${of === 'old' ? '00' : '11'}`,
        ring,
        ski,
        profile: 'a',
        subject: 'CN=a',
        key_id: 'k',
        not_before: 0,
      },
      ...{ not_after: now + hourMs, requester: 'a', request_name: null },
    };
    if (state[of].inFlight > 0)
      await db
        .insertInto('ledger')
        .values({ ...common, epoch: 1, names: '[]', request_uid: null, state: 'intended', created_at: now })
        .execute();
    if (state[of].live > 0)
      await db
        .insertInto('certificates')
        .values({
          ...common,
          ...{ common_name: 'a', node: null, cluster: null, member: null, fingerprint: of, der: Buffer.alloc(1) },
          ...{ token_id: null, issued_at: now, first_used_at: null, revoked_at: null, revocation_reason: null },
          ...{ renew_from: null, renew_until: null },
        })
        .execute();
  }
}
