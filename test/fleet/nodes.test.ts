import { expect, test } from 'vitest';

import {
  admin,
  auditActions,
  dayMs,
  issueLeaf,
  issueNodeLeaf,
  operator,
  refusalOf,
  startRooms,
} from '../identity/rooms.js';
import { describeEachStore } from '../support/stores.js';

const code = (value: string): unknown => expect.objectContaining({ code: value });

describeEachStore('nodes', (open) => {
  test('enrolling, changing, listing, deleting', async () => {
    const { nodes, store, changed } = await startRooms(await open());
    const made = await nodes.enrol(
      { name: 'worker-1', addresses: ['10.0.0.2', '10.0.0.1'], dnsNames: ['W1.Example'], labels: { rack: 'a' } },
      operator,
    );
    expect(made).toMatchObject({
      state: 'expected',
      addresses: ['10.0.0.1', '10.0.0.2'],
      dnsNames: ['w1.example'],
      labels: { rack: 'a' },
      createdBy: 'olga',
    });
    expect(await nodes.get('worker-1')).toEqual(made);
    expect(await nodes.find('worker-2')).toBeUndefined();
    await expect(nodes.get('worker-2')).rejects.toEqual(code('not-found'));
    await expect(nodes.enrol({ name: 'worker-1' }, operator)).rejects.toEqual(code('already-exists'));

    const updated = await nodes.update('worker-1', { addresses: ['::1'] }, operator);
    expect(updated).toMatchObject({ addresses: ['::1'], dnsNames: ['w1.example'], labels: { rack: 'a' } });
    await nodes.delete('worker-1', operator);
    await expect(nodes.delete('worker-1', operator)).rejects.toEqual(code('not-found'));
    expect(await auditActions(store)).toEqual(
      expect.arrayContaining(['node.enrolled', 'node.updated', 'node.deleted']),
    );
    expect(changed).toEqual([{ node: 'worker-1' }, { node: 'worker-1' }, { node: 'worker-1' }]);
  });

  test('what breaks a rule is refused with every field, and changes nothing', async () => {
    const { nodes, changed } = await startRooms(await open());
    const draft = { name: 'Worker', addresses: ['10.0.0.1', '10.0.0.0/8'], dnsNames: ['*.x'], labels: { 'a b': '' } };
    const error: unknown = await nodes.enrol(draft, operator).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'invalid',
      details: {
        causes: [{ field: 'name' }, { field: 'addresses[1]' }, { field: 'dnsNames[0]' }, { field: 'labels' }],
      },
    });
    expect((await nodes.list({ limit: 10 })).items).toEqual([]);
    expect(changed).toEqual([]);
  });

  test('ensuring enrols once and then adds', async () => {
    const { nodes, store, changed } = await startRooms(await open());
    const ensure = (addresses: string[], dnsNames: string[]) =>
      store.write((tx) => nodes.ensure(tx, { name: 'worker-1', addresses, dnsNames }, operator));
    await ensure(['10.0.0.1'], []);
    await ensure(['10.0.0.2'], ['w1.example']);
    expect(await ensure(['10.0.0.1'], ['w1.example'])).toMatchObject({
      addresses: ['10.0.0.1', '10.0.0.2'],
      dnsNames: ['w1.example'],
    });
    // The last one told nothing new.
    expect(changed).toHaveLength(2);
  });

  test('pages go through every node once', async () => {
    const { nodes } = await startRooms(await open());
    const names = Array.from({ length: 7 }, (_, i) => `worker-${String(i)}`);
    for (const name of names.toReversed()) await nodes.enrol({ name }, operator);
    const seen: string[] = [];
    let next: string | undefined;
    do {
      const page: Awaited<ReturnType<typeof nodes.list>> = await nodes.list({
        limit: 3,
        ...(next !== undefined && { continue: next }),
      });
      seen.push(...page.items.map((node) => node.name));
      next = page.continue;
    } while (next !== undefined);
    expect(seen).toEqual(names);
  });

  test('a disabled node is refused at once, and back when enabled', async () => {
    const rooms = await startRooms(await open());
    const { nodes, authenticator, tokens, store } = rooms;
    const { token } = await tokens.create({ node: { name: 'worker-1', addresses: [], dnsNames: [] } }, operator);
    const { der } = await issueNodeLeaf(rooms, 'worker-1', token.id);
    expect((await authenticator.authenticate({ certificate: der })).node).toBe('worker-1');
    expect((await nodes.get('worker-1')).state).toBe('joined');

    expect(await nodes.disable('worker-1', { actor: operator, reason: 'stolen' })).toMatchObject({ state: 'disabled' });
    expect(await refusalOf(authenticator.authenticate({ certificate: der }))).toContain('stolen');
    // A certificate that somebody else has approved for the name does not help either.
    const other = await issueLeaf(rooms, { node: 'worker-1' });
    expect(await refusalOf(authenticator.authenticate({ certificate: other.der }))).toContain('banned');
    await expect(store.write((tx) => nodes.issued(tx, { node: 'worker-1', serial: '01', now: 0 }))).rejects.toEqual(
      code('forbidden'),
    );
    await expect(nodes.replace('worker-1', operator)).rejects.toEqual(code('conflict'));
    await expect(tokens.create({ node: { name: 'worker-1', addresses: [], dnsNames: [] } }, operator)).rejects.toEqual(
      code('conflict'),
    );

    expect(await nodes.enable('worker-1', operator)).toMatchObject({ state: 'joined', disabledAt: undefined });
    expect((await authenticator.authenticate({ certificate: der })).node).toBe('worker-1');
  });

  test('a replaced node keeps its certificates until the rebuilt machine has one, and the old machine cannot end it', async () => {
    const rooms = await startRooms(await open());
    const { nodes, authenticator, tokens, clock } = rooms;
    const { token } = await tokens.create({}, operator);
    await nodes.enrol({ name: 'worker-1' }, operator);
    const old = await issueNodeLeaf(rooms, 'worker-1', token.id, true);
    await authenticator.authenticate({ certificate: old.der });
    await expect(issueNodeLeaf(rooms, 'worker-1', token.id, true)).rejects.toEqual(code('forbidden'));

    expect(await nodes.replace('worker-1', operator)).toMatchObject({ state: 'expected' });
    clock.set(clock.now().getTime() + 1000);
    const requester = 'system:node:worker-1';
    const renewed = await issueLeaf(rooms, { node: 'worker-1', requester });
    await rooms.store.write((tx) =>
      nodes.issued(tx, { node: 'worker-1', serial: renewed.prepared.serial, now: clock.now().getTime(), requester }),
    );
    await authenticator.authenticate({ certificate: old.der });
    await authenticator.authenticate({ certificate: renewed.der });
    expect((await nodes.get('worker-1')).state).toBe('expected');

    const fresh = await issueNodeLeaf(rooms, 'worker-1', token.id, true);
    expect(await refusalOf(authenticator.authenticate({ certificate: old.der }))).toContain('superseded');
    expect(await refusalOf(authenticator.authenticate({ certificate: renewed.der }))).toContain('superseded');
    await authenticator.authenticate({ certificate: fresh.der });
    expect((await nodes.get('worker-1')).state).toBe('joined');
    expect((await rooms.ca.certificates.get(old.prepared.serial)).revocationReason).toBe('superseded');
  });

  test('a certificate that a person approved ends a replacement when it is first used', async () => {
    const rooms = await startRooms(await open());
    const { nodes, authenticator, clock } = rooms;
    await nodes.enrol({ name: 'worker-1' }, operator);
    const old = await issueLeaf(rooms);
    await authenticator.authenticate({ certificate: old.der });
    await nodes.replace('worker-1', operator);
    clock.set(clock.now().getTime() + 1000);
    const fresh = await issueLeaf(rooms, { requester: 'admin' });
    await authenticator.authenticate({ certificate: old.der });
    await authenticator.authenticate({ certificate: fresh.der });
    expect(await refusalOf(authenticator.authenticate({ certificate: old.der }))).toContain('superseded');
  });

  test('an unbound token serves an expected node, with at most five replacements', async () => {
    const rooms = await startRooms(await open());
    const { nodes, tokens, authenticator, store } = rooms;
    const { token } = await tokens.create({}, operator);
    await expect(issueNodeLeaf(rooms, 'worker-1', token.id, true)).rejects.toThrow('not enrolled');
    await nodes.enrol({ name: 'worker-1' }, operator);
    await nodes.enrol({ name: 'worker-2' }, operator);
    const given = [];
    for (let i = 0; i < 6; i += 1) given.push(await issueNodeLeaf(rooms, 'worker-1', token.id, true));
    await expect(issueNodeLeaf(rooms, 'worker-1', token.id, true)).rejects.toThrow('5 times');
    // Another node is not touched by that.
    const second = await issueNodeLeaf(rooms, 'worker-2', token.id, true);
    for (const leaf of given.slice(0, 5))
      expect(await refusalOf(authenticator.authenticate({ certificate: leaf.der }))).toContain('superseded');
    await authenticator.authenticate({ certificate: given[5]?.der ?? Buffer.alloc(0) });
    await authenticator.authenticate({ certificate: second.der });
    const replaced = (await auditActions(store)).filter((action) => action === 'node.certificate-replaced');
    expect(replaced).toHaveLength(5);
    await nodes.replace('worker-1', operator);
    await issueNodeLeaf(rooms, 'worker-1', token.id, true);
  });

  test('deleting a node bans its live certificates and its tokens, and frees its name', async () => {
    const rooms = await startRooms(await open());
    const { nodes, tokens, authenticator, clock } = rooms;
    const { token, secret } = await tokens.create(
      { node: { name: 'worker-1', addresses: [], dnsNames: [] } },
      operator,
    );
    const leaf = await issueNodeLeaf(rooms, 'worker-1', token.id);
    await authenticator.authenticate({ certificate: leaf.der });
    await nodes.disable('worker-1', { actor: operator });
    await nodes.delete('worker-1', operator);
    expect(await refusalOf(authenticator.authenticate({ certificate: leaf.der }))).toContain('cessationOfOperation');
    expect(await tokens.authenticate(token.id, secret)).toBeUndefined();

    clock.set(clock.now().getTime() + dayMs);
    const again = await tokens.create({ node: { name: 'worker-1', addresses: [], dnsNames: [] } }, admin);
    const fresh = await issueNodeLeaf(rooms, 'worker-1', again.token.id);
    expect((await authenticator.authenticate({ certificate: fresh.der })).node).toBe('worker-1');
    expect(await refusalOf(authenticator.authenticate({ certificate: leaf.der }))).toContain('cessationOfOperation');
  });

  test('two claims of one expected node at once leave one certificate', async () => {
    const rooms = await startRooms(await open());
    const { nodes, tokens, authenticator } = rooms;
    const { token } = await tokens.create({}, operator);
    await nodes.enrol({ name: 'worker-1' }, operator);
    const leaves = await Promise.all([1, 2].map(() => issueNodeLeaf(rooms, 'worker-1', token.id, true)));
    const answers = await Promise.allSettled(leaves.map(({ der }) => authenticator.authenticate({ certificate: der })));
    expect(answers.map((answer) => answer.status).sort()).toEqual(['fulfilled', 'rejected']);
  });
});
