import { randomBytes } from 'node:crypto';

import { expect, test } from 'vitest';

import type { CertificateFilter } from '../../src/ca/types.js';
import {
  countExpiring,
  insertCertificate,
  type NameRow,
  type NewCertificateRow,
  nextExpiry,
  searchCertificates,
} from '../../src/store/queries/certificates.js';
import { insertLedger, listIntended, settleLedger } from '../../src/store/queries/ledger.js';
import { countRequests, deleteRequest, insertRequest, listRequests } from '../../src/store/queries/requests.js';
import type { Store } from '../../src/store/types.js';
import { describeEachStore } from '../support/stores.js';

const newSerial = () => `01${randomBytes(15).toString('hex')}`;

function certificate(over: Partial<NewCertificateRow> = {}): NewCertificateRow {
  return {
    ...{ serial: newSerial(), ring: 'kubernetes', ski: 'aa', profile: 'p', subject: 'CN=a', common_name: 'a' },
    ...{ node: null, cluster: null, member: null, key_id: 'k', fingerprint: 'f', not_before: 0, not_after: 1_000 },
    ...{ der: Buffer.from([0x30, 0x00, 0xff]), requester: 'r', request_name: null, token_id: null, issued_at: 0 },
    ...{ first_used_at: null, revoked_at: null, revocation_reason: null },
    ...over,
  };
}

function add(store: Store, row: NewCertificateRow, names: readonly Omit<NameRow, 'serial'>[] = []): Promise<void> {
  return store.write((tx) => insertCertificate(tx.db, row, names));
}

async function serials(store: Store, filter: Partial<CertificateFilter>): Promise<string[]> {
  const page = await searchCertificates(store.db, { limit: 100, ...filter });
  return page.items.map((item) => item.row.serial);
}

describeEachStore('the inventory', (open) => {
  test('is found by each of its keys, with its names and bytes', async () => {
    const store = await open();
    const a = certificate({ node: 'n1', common_name: 'system:node:n1', not_after: 100 });
    const b = certificate({ cluster: 'c', member: 'm', ring: 'etcd', profile: 'q', not_after: 200 });
    const many = Array.from({ length: 90 }, (_, i) => ({ kind: 'ip' as const, value: `10.0.0.${String(i)}` }));
    await add(store, a, [{ kind: 'dns', value: 'n1.local' }, ...many]);
    await add(store, b, [{ kind: 'dns', value: 'system:node:n1' }]);
    expect(await serials(store, { node: 'n1' })).toEqual([a.serial]);
    expect(await serials(store, { cluster: 'c', member: 'm' })).toEqual([b.serial]);
    expect(await serials(store, { ring: 'etcd' })).toEqual([b.serial]);
    expect(await serials(store, { profile: 'q' })).toEqual([b.serial]);
    expect(await serials(store, { serial: a.serial })).toEqual([a.serial]);
    expect(await serials(store, { name: 'n1.local' })).toEqual([a.serial]);
    expect(await serials(store, { name: 'system:node:n1' })).toEqual([b.serial, a.serial]);
    expect(await serials(store, { address: '10.0.0.89' })).toEqual([a.serial]);
    expect(await serials(store, { expiresBefore: 100 })).toEqual([a.serial]);
    expect(await serials(store, { expiresAfter: 100 })).toEqual([b.serial]);
    const [found] = (await searchCertificates(store.db, { limit: 1, node: 'n1' })).items;
    expect(found?.row).toEqual({
      ...{ ...a, renew_from: null, renew_until: null },
      ...{ superseded_at: null, superseded_by: null },
    });
    expect(found?.names).toHaveLength(91);
  });

  test.each([{}, { expiresBefore: 50 }, { ring: 'kubernetes' }])('pages without gap or repeat: %o', async (filter) => {
    const store = await open();
    const all = Array.from({ length: 23 }, (_, i) => certificate({ not_after: i % 4 }));
    await Promise.all(all.map((row) => add(store, row)));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await searchCertificates(store.db, {
        limit: 5,
        ...filter,
        ...(cursor === undefined ? {} : { continue: cursor }),
      });
      seen.push(...page.items.map((item) => item.row.serial));
      cursor = page.continue;
    } while (cursor !== undefined);
    expect(seen).toHaveLength(23);
    expect(new Set(seen)).toEqual(new Set(all.map((row) => row.serial)));
  });

  test('refuses a cursor that it did not give out', async () => {
    const store = await open();
    for (const cursor of ['', 'x', Buffer.from("1:'; drop table x").toString('base64url')]) {
      await expect(searchCertificates(store.db, { limit: 1, continue: cursor })).rejects.toMatchObject({
        code: 'bad-request',
      });
    }
  });

  test('counts what expires, of live certificates only', async () => {
    const store = await open();
    await add(store, certificate({ not_after: 50 }));
    await add(store, certificate({ not_after: 150, revoked_at: 1 }));
    await add(store, certificate({ not_after: 200 }));
    await add(store, certificate({ not_after: 900, ring: 'etcd' }));
    expect(await nextExpiry(store.db, 100)).toBe(200);
    expect(await nextExpiry(store.db, 900)).toBeUndefined();
    expect(await countExpiring(store.db, 100, 100)).toEqual([{ ring: 'kubernetes', count: 1 }]);
    expect(await countExpiring(store.db, 100, 10)).toEqual([]);
  });
});

function ledgerRow(serial: string, over: { epoch?: number; ski?: string; created_at?: number } = {}) {
  return {
    ...{ serial, ring: 'kubernetes', ski: 'aa', epoch: 1, profile: 'p', subject: 'CN=a', names: '[]', key_id: 'k' },
    ...{ not_before: 1_764_000_000_000, not_after: 1_864_000_000_000, requester: 'r', request_name: null },
    ...{ request_uid: 'u', state: 'intended' as const, created_at: 5 },
    ...over,
  };
}

describeEachStore('the ledger', (open) => {
  test('takes a row only from the signer that the ring has now', async () => {
    const store = await open();
    await store.write((tx) =>
      tx.db
        .insertInto('rings')
        .values({ name: 'kubernetes', epoch: 1, generation: 1, active_ski: 'aa', created_at: 0 })
        .execute(),
    );
    const intend = (row: ReturnType<typeof ledgerRow>) => store.write((tx) => insertLedger(tx.db, row));
    expect(await intend(ledgerRow('01'))).toBe(true);
    expect(await intend(ledgerRow('02', { epoch: 2 }))).toBe(false);
    expect(await intend(ledgerRow('03', { ski: 'bb' }))).toBe(false);
    await expect(intend(ledgerRow('01'))).rejects.toThrow(/unique|duplicate/i);
    expect(await store.db.selectFrom('ledger').selectAll().execute()).toEqual([ledgerRow('01')]);

    expect(await store.write((tx) => settleLedger(tx.db, '01', 'issued'))).toBe(true);
    expect(await store.write((tx) => settleLedger(tx.db, '01', 'abandoned'))).toBe(false);
    await intend(ledgerRow('04', { created_at: 7 }));
    await intend(ledgerRow('05', { created_at: 9 }));
    const orphans = await listIntended(store.db, { createdBefore: 9, limit: 10 });
    expect(orphans.map((row) => row.serial)).toEqual(['04']);
  });
});

describeEachStore('requests', (open) => {
  const row = (name: string, state: 'pending' | 'issued' = 'pending') => ({
    ...{ name, uid: name, revision: 1, signer_name: 's', username: 'u', state, held: 0, retry_at: null, node: null },
    ...{ key_id: null, serial: null, token_id: null, requester: '{}', created_at: 0, updated_at: 0 },
    object: `{"name":"${name}"}`,
  });

  test('are inserted once, listed by name at a revision, and deleted', async () => {
    const store = await open();
    const inserted = await Promise.all(
      ['b', 'a', 'c', 'a'].map((name) =>
        store.write(async (tx) => {
          tx.nextRevision();
          return insertRequest(tx.db, row(name, name === 'c' ? 'issued' : 'pending'));
        }),
      ),
    );
    expect(inserted).toEqual([true, true, true, false]);
    const first = await listRequests(store.db, { limit: 2 });
    expect(first.items.map((item) => item.name)).toEqual(['a', 'b']);
    expect(first.revision).toBe(4);
    const rest = await listRequests(store.db, { limit: 2, after: 'b' });
    expect(rest.items).toEqual([{ name: 'c', object: '{"name":"c"}' }]);
    expect(await countRequests(store.db, { after: 'a' })).toBe(2);
    expect((await listRequests(store.db, { limit: 9, state: 'issued', signerName: 's' })).items).toHaveLength(1);
    expect(await store.write((tx) => deleteRequest(tx.db, 'a'))).toBe(true);
    expect(await store.write((tx) => deleteRequest(tx.db, 'a'))).toBe(false);
  });
});
