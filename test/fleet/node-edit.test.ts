import { expect, test } from 'vitest';

import type { Node, NodeEdit } from '../../src/fleet/types.js';
import { listChanges } from '../../src/store/queries/changes.js';
import type { Store } from '../../src/store/types.js';
import { operator, refusalOf, issueNodeLeaf, startRooms } from '../identity/rooms.js';
import { describeEachStore } from '../support/stores.js';

const code = (value: string): unknown => expect.objectContaining({ code: value });
const how = { actor: operator, dryRun: false };
const dry = { actor: operator, dryRun: true };
const as = ({ addresses, dnsNames, labels, annotations, state }: Node): NodeEdit => ({
  addresses,
  dnsNames,
  labels,
  annotations,
  disabled: state === 'disabled',
});

async function changesIn(store: Store): Promise<string[]> {
  const changes = await listChanges(store.db, { after: 0, upTo: 1e9, limit: 100, resource: 'nodes' });
  return changes.map(({ type, object, previous, revision }) => {
    const node = JSON.parse(object) as Node;
    expect(node.revision).toBe(revision);
    const before = previous === undefined ? '' : `${(JSON.parse(previous) as Node).state} `;
    return `${type} ${before}${node.state}`;
  });
}

describeEachStore('editing a node as a whole', (open) => {
  test('makes of it what is wanted, and says nothing when that is so already', async () => {
    const { nodes, store } = await startRooms(await open());
    const wanted = { addresses: ['10.0.0.1'], labels: { a: '1' }, annotations: { note: 'x' } };
    const made = await nodes.add('n1', wanted, how);
    expect(made).toMatchObject({ ...wanted, dnsNames: [], state: 'expected' });
    await expect(nodes.add('n1', wanted, how)).rejects.toEqual(code('already-exists'));
    const same = await nodes.edit('n1', as, how);
    expect(same).toEqual(made);
    const changed = await nodes.edit('n1', (node) => ({ ...as(node), annotations: {}, labels: {} }), how);
    expect(changed).toMatchObject({ addresses: ['10.0.0.1'], labels: {}, annotations: {} });
    expect(changed.revision).toBeGreaterThan(made.revision);
    await expect(nodes.edit('n2', as, how)).rejects.toEqual(code('not-found'));
    await expect(nodes.edit('n1', (node) => ({ ...as(node), addresses: ['x'] }), how)).rejects.toEqual(code('invalid'));
    expect(await changesIn(store)).toEqual(['ADDED expected', 'MODIFIED expected expected']);
  });

  test('disables and enables, with the ban that this is', async () => {
    const rooms = await startRooms(await open());
    const { nodes, tokens, authenticator, store } = rooms;
    const { token } = await tokens.create({ node: { name: 'n1', addresses: [], dnsNames: [] } }, operator);
    const { der } = await issueNodeLeaf(rooms, 'n1', token.id);
    await authenticator.authenticate({ certificate: der });
    const off = await nodes.edit('n1', (node) => ({ ...as(node), disabled: true, labels: { why: 'stolen' } }), how);
    expect(off).toMatchObject({ state: 'disabled', labels: { why: 'stolen' } });
    expect(await refusalOf(authenticator.authenticate({ certificate: der }))).toContain('disabled');
    expect(await nodes.edit('n1', (node) => ({ ...as(node), disabled: false }), how)).toMatchObject({
      state: 'joined',
    });
    expect((await authenticator.authenticate({ certificate: der })).node).toBe('n1');
    expect(await nodes.add('n2', { disabled: true }, how)).toMatchObject({ state: 'disabled' });
    expect(await changesIn(store)).toEqual([
      'ADDED expected',
      'MODIFIED expected joined',
      'MODIFIED joined joined',
      'MODIFIED joined disabled',
      'MODIFIED disabled joined',
      'ADDED expected',
      'MODIFIED expected disabled',
    ]);
  });

  test('changes nothing on a dry run', async () => {
    const { nodes, store } = await startRooms(await open());
    expect(await nodes.add('n1', { disabled: true }, dry)).toMatchObject({ name: 'n1', state: 'disabled' });
    expect(await nodes.find('n1')).toBeUndefined();
    await nodes.add('n1', {}, how);
    await expect(nodes.add('n1', {}, dry)).rejects.toEqual(code('already-exists'));
    expect(await nodes.edit('n1', () => ({ disabled: true, addresses: ['10.0.0.1'] }), dry)).toMatchObject({
      state: 'disabled',
      addresses: ['10.0.0.1'],
    });
    await nodes.delete('n1', operator, { dryRun: true });
    expect(await nodes.get('n1')).toMatchObject({ state: 'expected', addresses: [] });
    expect(await changesIn(store)).toEqual(['ADDED expected']);
  });

  test('deletes only what is meant, and tells its last state', async () => {
    const { nodes, store } = await startRooms(await open());
    const made = await nodes.add('n1', {}, how);
    const check = ({ uid }: Node): void => {
      if (uid !== 'another') throw new Error('not that one');
    };
    await expect(nodes.delete('n1', operator, { check })).rejects.toThrow('not that one');
    const gone = await nodes.delete('n1', operator);
    expect(gone).toMatchObject({ uid: made.uid });
    expect(gone.revision).toBeGreaterThan(made.revision);
    expect(await changesIn(store)).toEqual(['ADDED expected', 'DELETED expected']);
  });

  test('adds and removes addresses and names one by one', async () => {
    const { nodes } = await startRooms(await open());
    await nodes.enrol({ name: 'n1', addresses: ['10.0.0.1', '10.0.0.2'], dnsNames: ['a.x'] }, operator);
    const change = { removeAddresses: ['10.0.0.1', '10.9.9.9'], addAddresses: ['FD00::0:1'], removeDnsNames: ['A.x'] };
    expect(await nodes.update('n1', change, operator)).toMatchObject({
      addresses: ['10.0.0.2', 'fd00::1'],
      dnsNames: [],
    });
    await expect(nodes.update('n1', { removeAddresses: ['x'] }, operator)).rejects.toMatchObject({
      details: { causes: [{ field: 'removeAddresses[0]' }] },
    });
  });

  test('lists by state and by what is asked of the node, page after page', async () => {
    const { nodes } = await startRooms(await open());
    for (let i = 0; i < 9; i += 1) await nodes.enrol({ name: `n${i}`, labels: { odd: String(i % 2) } }, operator);
    await nodes.disable('n3', { actor: operator });
    expect((await nodes.list({ limit: 5, state: 'disabled' })).items.map(({ name }) => name)).toEqual(['n3']);
    const matches = ({ labels }: Node): boolean => labels['odd'] === '1';
    const first = await nodes.list({ limit: 2, matches });
    expect(first.items.map(({ name }) => name)).toEqual(['n1', 'n3']);
    const rest = await nodes.list({ limit: 2, matches, ...(first.continue && { continue: first.continue }) });
    expect([rest.items.map(({ name }) => name), rest.continue]).toEqual([['n5', 'n7'], undefined]);
    expect((await nodes.list({ limit: 5, matches, state: 'expected' })).items).toHaveLength(3);
  });

  test('tells which certificate each of them has', async () => {
    const rooms = await startRooms(await open());
    const { nodes, tokens } = rooms;
    const { token } = await tokens.create({ node: { name: 'n1', addresses: [], dnsNames: [] } }, operator);
    await nodes.enrol({ name: 'n2' }, operator);
    const { prepared } = await issueNodeLeaf(rooms, 'n1', token.id);
    const certificates = await nodes.certificates(['n1', 'n2']);
    expect([...certificates]).toMatchObject([['n1', { serial: prepared.serial }]]);
    expect((await nodes.certificates([])).size).toBe(0);
  });
});
