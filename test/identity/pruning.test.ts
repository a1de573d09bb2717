import { expect, test } from 'vitest';

import { createAudit } from '../../src/audit/audit.js';
import { pruneBans } from '../../src/identity/ban-pruning.js';
import { createBans } from '../../src/identity/bans.js';
import { pruneTokens } from '../../src/identity/token-pruning.js';
import type { WriteTx } from '../../src/store/types.js';
import { logger } from '../ca/support.js';
import { describeEachStore } from '../support/stores.js';
import {
  admin,
  auditActions,
  dayMs,
  hourMs,
  issueLeaf,
  operator,
  refusalOf,
  type Rooms,
  start,
  startRooms,
} from './rooms.js';

type Chore = (fence: (tx: WriteTx) => Promise<boolean>) => Promise<{ deleted: number; more: boolean }>;

async function toTheEnd(chore: Chore, allowed = true): Promise<number> {
  let deleted = 0;
  for (let more = true; more;) {
    const step = await chore(() => Promise.resolve(allowed));
    deleted += step.deleted;
    ({ more } = step);
  }
  return deleted;
}

const bansOf = (rooms: Rooms): Chore => pruneBans({ ...rooms, audit: createAudit({ logger }) });
const tokensOf = (rooms: Rooms): Chore => pruneTokens({ ...rooms, audit: createAudit({ logger }) });

describeEachStore('bans', (open) => {
  test('go 30 days after the certificate has expired, and what was revoked stays refused', async () => {
    const rooms = await startRooms(await open());
    const { store, clock, bans, authenticator, revocation } = rooms;
    const { der, prepared } = await issueLeaf(rooms);
    const later = await issueLeaf(rooms);
    const { notAfter } = prepared.order;
    // Remembered as one that authenticated.
    await authenticator.authenticate({ certificate: der });
    const other = await createBans({ store });
    for (const { serial } of [prepared, later.prepared]) await revocation.revoke(serial, { actor: operator });
    const identity = { kind: 'identity', ring: 'kubernetes', value: 'system:node:gone' } as const;
    const unknown = { kind: 'serial', ring: 'kubernetes', value: 'ff00' } as const;
    for (const key of [identity, unknown])
      await store.write((tx) => bans.add(tx, { ...key, reason: 'test', createdAt: start, createdBy: 'olga' }));
    await store.write(({ db }) =>
      db
        .updateTable('ledger')
        .set({ not_after: notAfter + 400 * dayMs })
        .where('serial', '=', later.prepared.serial)
        .execute(),
    );
    const chore = bansOf(rooms);

    clock.set(notAfter + 29 * dayMs);
    expect(await toTheEnd(chore)).toBe(0);
    clock.set(notAfter + 31 * dayMs);
    expect(await toTheEnd(chore, false)).toBe(0);
    clock.set(notAfter + 33 * dayMs);
    expect(await toTheEnd(chore)).toBe(1);
    const left = await store.db.selectFrom('bans').select('value').where('value', '=', prepared.serial).execute();
    expect(left).toEqual([]);
    expect(bans.isBanned('kubernetes', later.prepared.serial, '')).toBeDefined();
    expect(bans.isBanned('kubernetes', '', 'system:node:gone')).toBeDefined();
    expect(bans.isBanned('kubernetes', 'ff00', '')).toBeDefined();
    expect(await auditActions(store)).toContain('ban.expired');

    // The clock is set back, and the certificate is valid again by it: for who remembers it, here and in another replica,
    // and for who has just been started.
    clock.set(start + hourMs);
    expect(await refusalOf(authenticator.authenticate({ certificate: der }))).toContain('is banned');
    expect(other.isBanned('kubernetes', prepared.serial, '')).toBeDefined();
    const restarted = await startRooms(store, { clock });
    expect(await refusalOf(restarted.authenticator.authenticate({ certificate: der }))).toContain('was revoked');
    const again = await createBans({ store });
    expect(again.isBanned('kubernetes', prepared.serial, '')).toBeUndefined();
    expect(again.isBanned('kubernetes', later.prepared.serial, '')).toBeDefined();
  });

  test('go page by page, however many there are', async () => {
    const rooms = await startRooms(await open());
    const { store, clock, bans } = rooms;
    const model = await issueLeaf(rooms);
    const row = await store.db
      .selectFrom('ledger')
      .selectAll()
      .where('serial', '=', model.prepared.serial)
      .executeTakeFirstOrThrow();
    await store.write(async (tx) => {
      for (let index = 0; index < 350; index += 1) {
        const value = `aa${index.toString(16).padStart(6, '0')}`;
        await tx.db
          .insertInto('ledger')
          .values({ ...row, serial: value })
          .execute();
        await bans.add(tx, {
          kind: 'serial',
          ring: row.ring,
          value,
          reason: 'test',
          createdAt: start,
          createdBy: 'olga',
        });
      }
    });
    clock.set(row.not_after + 31 * dayMs);
    expect(await toTheEnd(bansOf(rooms))).toBe(350);
    expect(await store.db.selectFrom('bans').selectAll().execute()).toEqual([]);
  });
});

describeEachStore('tokens', (open) => {
  test('stay for as long as an API server may know them, revoked and used ones too', async () => {
    const rooms = await startRooms(await open());
    const { clock, tokens, store } = rooms;
    const forEver = (await tokens.create({ ttlMs: 0 }, admin)).token.id;
    const node = { name: 'n1', addresses: [], dnsNames: [] };
    const used = (await tokens.create({ node, reusable: true, ttlMs: 0 }, admin)).token.id;
    await store.write(({ db }) =>
      db.updateTable('tokens').set({ state: 'used', used_at: start }).where('id', '=', used).execute(),
    );
    clock.set(start + 200 * dayMs);
    await tokens.revoke(forEver, operator);
    expect(await toTheEnd(tokensOf(rooms))).toBe(0);
    expect(await tokens.vouched(forEver)).toMatchObject({ state: 'revoked' });
    expect(await tokens.vouched(used)).toMatchObject({ state: 'used', kind: 'node' });
  });

  test('go 90 days after they had expired, and revoked ones not before', async () => {
    const rooms = await startRooms(await open());
    const { clock, tokens, store } = rooms;
    const made = async (ttlMs: number): Promise<string> => (await tokens.create({ ttlMs }, admin)).token.id;
    const expired = await made(hourMs);
    const revoked = await made(100 * dayMs);
    const live = await made(300 * dayMs);
    await tokens.revoke(revoked, operator);
    const ids = async (): Promise<string[]> => (await tokens.list()).map(({ id }) => id).sort();
    const chore = tokensOf(rooms);

    clock.set(start + 90 * dayMs);
    expect(await toTheEnd(chore)).toBe(0);
    clock.set(start + 91 * dayMs);
    expect(await toTheEnd(chore)).toBe(1);
    expect(await ids()).toEqual([revoked, live].sort());
    expect(await ids()).not.toContain(expired);
    clock.set(start + 191 * dayMs);
    expect(await toTheEnd(chore)).toBe(1);
    expect(await ids()).toEqual([live]);
    expect((await auditActions(store)).filter((action) => action === 'token.pruned')).toHaveLength(2);
  });
});
