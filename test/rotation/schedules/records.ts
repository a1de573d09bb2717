import type { Rotation } from '../../../src/rotation/types.js';
import { violated } from './violation.js';
import { allPresented, type World } from './world.js';

/** What holds in the database by itself. Returns the serials of leaves that count as nobody's. */
export async function checkRecords(world: World, rotation: Rotation): Promise<ReadonlySet<string>> {
  await checkRing(world);
  await checkAuthorities(world);
  await checkSteps(world, rotation);
  return checkLedger(world);
}

/** I5: epochs and generations only grow, every generation is there once, and what it holds never changes. */
async function checkRing(world: World): Promise<void> {
  const { db } = world.service.context().store;
  const { ring: name } = world.flavour;
  const ring = await db.selectFrom('rings').selectAll().where('name', '=', name).executeTakeFirstOrThrow();
  if (ring.epoch < world.seen.epoch || ring.generation < world.seen.generation)
    throw violated('I5', `epoch ${String(ring.epoch)}, generation ${String(ring.generation)}`);
  Object.assign(world.seen, { epoch: ring.epoch, generation: ring.generation });
  const bundles = await db.selectFrom('bundles').select(['generation', 'digest']).where('ring', '=', name).execute();
  if (bundles.length !== ring.generation)
    throw violated('I5', `${String(bundles.length)} bundles of ${String(ring.generation)}`);
  for (const { generation, digest } of bundles) {
    const known = world.bundles.get(generation);
    if (known !== undefined && known.digest !== digest)
      throw violated('I5', `bundle ${String(generation)} has changed`);
  }
}

/** I9: no two authorities of a ring share a name or a key. I11: a tainted one signs nothing, ever. */
async function checkAuthorities(world: World): Promise<void> {
  const { db } = world.service.context().store;
  const { ring } = world.flavour;
  const rows = await db.selectFrom('authorities').selectAll().where('ring', '=', ring).execute();
  if (new Set(rows.map(({ subject }) => subject)).size !== rows.length)
    throw violated('I9', 'two authorities share a subject');
  const { active_ski: active } = await db
    .selectFrom('rings')
    .select('active_ski')
    .where('name', '=', ring)
    .executeTakeFirstOrThrow();
  for (const { ski, tainted } of rows) {
    if (tainted === 0) {
      if (world.seen.tainted.has(ski)) throw violated('I11', `${ski} is tainted no more`);
      continue;
    }
    const signed = await db
      .selectFrom('ledger')
      .select((e) => e.fn.countAll().as('count'))
      .where('ski', '=', ski)
      .executeTakeFirstOrThrow();
    const before = world.seen.tainted.get(ski);
    if (before !== undefined && Number(signed.count) > before)
      throw violated('I11', `${ski} has signed after it was tainted`);
    world.seen.tainted.set(ski, Number(signed.count));
    const frozen = world.service.context().ca.ring(ring).frozen;
    if (active === ski && !frozen) throw violated('I11', `the tainted ${ski} is the signer`);
  }
}

/** I8: what a transition did outside is noted once, and each has its own line in the history. */
async function checkSteps(world: World, { id, version }: Rotation): Promise<void> {
  const { db } = world.service.context().store;
  const events = await db.selectFrom('rotation_events').select('sequence').where('rotation', '=', id).execute();
  if (events.length !== version) throw violated('I8', `${String(events.length)} events of ${String(version)} versions`);
}

/** I6: whatever a machine was given the ledger knows, as issued by that authority. */
async function checkLedger(world: World): Promise<ReadonlySet<string>> {
  const { db } = world.service.context().store;
  const unusable = new Set<string>();
  const presented = allPresented(world);
  const serials = [...new Set(presented.map(({ leaf }) => leaf.serial))];
  if (serials.length === 0) return unusable;
  const rows = await db
    .selectFrom('ledger')
    .select(['serial', 'ski', 'state'])
    .where('serial', 'in', serials)
    .execute();
  const held = await db
    .selectFrom('certificates')
    .select(['serial', 'superseded_at', 'revoked_at'])
    .where('serial', 'in', serials)
    .execute();
  const ledger = new Map(rows.map((row) => [row.serial, row]));
  const inventory = new Map(held.map((row) => [row.serial, row]));
  for (const { by, leaf, peer } of presented) {
    const row = ledger.get(leaf.serial);
    if (row?.ski !== leaf.authority || row.state !== 'issued')
      throw violated('I6', `${by} has ${leaf.serial}, the ledger ${row?.state ?? 'nothing'}`);
    const known = inventory.get(leaf.serial);
    if (known === undefined) throw violated('I6', `${leaf.serial} of ${by} is not in the inventory`);
    const comesBack = peer?.resurrected.has(leaf.serial) === true;
    if (known.revoked_at !== null || (comesBack && known.superseded_at !== null)) unusable.add(leaf.serial);
  }
  return unusable;
}
