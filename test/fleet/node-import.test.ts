import { expect, test } from 'vitest';

import type { ImportedNode, NodeDraft, NodeImport } from '../../src/fleet/types.js';
import { RotundaError } from '../../src/errors.js';
import { listChanges } from '../../src/store/queries/changes.js';
import { auditActions, operator, type Rooms, startRooms } from '../identity/rooms.js';
import { describeEachStore } from '../support/stores.js';

const order = (nodes: readonly NodeDraft[], extra: Partial<NodeImport> = {}): NodeImport => ({
  nodes,
  existing: 'refuse',
  allowShared: false,
  dryRun: false,
  ...extra,
});

const outcomes = (items: readonly ImportedNode[]): string[] => items.map(({ name, outcome }) => `${name} ${outcome}`);

async function refusal(work: Promise<unknown>): Promise<{ code: string; causes: string[] }> {
  const error: unknown = await work.catch((caught: unknown) => caught);
  if (!(error instanceof RotundaError)) throw new Error('it was not refused');
  return {
    code: error.code,
    causes: (error.details.causes ?? []).map(({ field, message }) => `${field ?? ''}: ${message}`),
  };
}

const namesIn = async ({ nodes }: Rooms): Promise<string[]> =>
  (await nodes.list({ limit: 500 })).items.map(({ name }) => name);

describeEachStore('importing nodes', (open) => {
  test('enrols all of them at once, and again changes nothing', async () => {
    const rooms = await startRooms(await open());
    const drafts = Array.from({ length: 130 }, (_, i) => ({
      name: `n${i}`,
      addresses: [`10.0.0.${i}`],
      labels: { rack: 'a' },
    }));
    const done = await rooms.nodes.import(order(drafts), operator);
    expect(done.map(({ outcome }) => outcome)).toEqual(drafts.map(() => 'created'));
    expect(await rooms.nodes.get('n7')).toMatchObject({
      state: 'expected',
      addresses: ['10.0.0.7'],
      createdBy: 'olga',
    });
    // One look at what waits, for all of them.
    expect(rooms.changed).toEqual([{ nodes: drafts.map(({ name }) => name) }]);
    expect((await auditActions(rooms.store)).filter((action) => action === 'node.enrolled')).toHaveLength(130);

    const again = await rooms.nodes.import(order(drafts.toReversed()), operator);
    expect(new Set(again.map(({ outcome }) => outcome))).toEqual(new Set(['unchanged']));
    expect(rooms.changed).toHaveLength(1);
    const changes = await listChanges(rooms.store.db, { after: 0, upTo: 1e9, limit: 1000, resource: 'nodes' });
    expect(changes.map(({ type }) => type)).toEqual(drafts.map(() => 'ADDED'));
    expect(new Set(changes.map(({ revision }) => revision)).size).toBe(130);
  });

  test('only tells, on a dry run', async () => {
    const rooms = await startRooms(await open());
    await rooms.nodes.enrol({ name: 'n1', addresses: ['10.0.0.1'] }, operator);
    const drafts = [{ name: 'n1', addresses: ['10.0.0.9'] }, { name: 'n2' }, { name: 'n3', addresses: ['10.0.0.1'] }];
    const told = await rooms.nodes.import(order(drafts, { dryRun: true }), operator);
    // n1 keeps its address, because an import that refuses changes nothing about it.
    expect(outcomes(told)).toEqual(['n1 conflict', 'n2 created', 'n3 conflict']);
    expect(await namesIn(rooms)).toEqual(['n1']);
    expect((await refusal(rooms.nodes.import(order(drafts), operator))).code).toBe('conflict');
    expect(await namesIn(rooms)).toEqual(['n1']);
  });

  test('names every place that breaks a rule, and enrols none', async () => {
    const rooms = await startRooms(await open());
    const drafts = [
      { name: 'good' },
      { name: 'Bad', addresses: ['10.0.0.0/8'] },
      { name: 'good' },
      { name: 'n', dnsNames: ['*.x'], labels: { 'a b': '' } },
    ];
    const { code, causes } = await refusal(rooms.nodes.import(order(drafts), operator));
    expect(code).toBe('invalid');
    expect(causes.map((text) => text.split(':')[0])).toEqual([
      'nodes[1].name',
      'nodes[1].addresses[0]',
      'nodes[2].name',
      'nodes[3].dnsNames[0]',
      'nodes[3].labels',
    ]);
    expect(await namesIn(rooms)).toEqual([]);
    const many = Array.from({ length: 1001 }, (_, i) => ({ name: `n${i}` }));
    expect((await refusal(rooms.nodes.import(order(many), operator))).causes[0]).toContain('at most 1000');
    const bad = Array.from({ length: 300 }, () => ({ name: 'X' }));
    expect((await refusal(rooms.nodes.import(order(bad), operator))).causes).toHaveLength(101);
  });

  test('adds to or replaces what is enrolled where it is told to', async () => {
    const rooms = await startRooms(await open());
    const { nodes } = rooms;
    await nodes.enrol({ name: 'n1', addresses: ['10.0.0.1'], dnsNames: ['a.x'], labels: { a: '1', b: '1' } }, operator);
    const drafts = [{ name: 'n1', addresses: ['10.0.0.2'], labels: { b: '2' } }];
    expect((await refusal(nodes.import(order(drafts), operator))).causes).toEqual([
      'nodes[0].addresses: the node is enrolled with others',
      'nodes[0].labels: the node is enrolled with others',
    ]);
    const [merged] = await nodes.import(order(drafts, { existing: 'merge' }), operator);
    expect(merged).toMatchObject({ outcome: 'updated', changes: ['addresses', 'labels'] });
    expect(await nodes.get('n1')).toMatchObject({
      addresses: ['10.0.0.1', '10.0.0.2'],
      dnsNames: ['a.x'],
      labels: { a: '1', b: '2' },
    });
    await nodes.import(order(drafts, { existing: 'replace' }), operator);
    expect(await nodes.get('n1')).toMatchObject({ addresses: ['10.0.0.2'], dnsNames: ['a.x'], labels: { b: '2' } });
    const [same] = await nodes.import(order(drafts, { existing: 'replace' }), operator);
    expect(same).toMatchObject({ outcome: 'unchanged', changes: [] });
  });

  test('refuses an address or name of another machine, in the import or enrolled', async () => {
    const { nodes } = await startRooms(await open());
    await nodes.enrol({ name: 'n1', addresses: ['10.0.0.1', 'fd00::1'], dnsNames: ['n1.x'] }, operator);
    const drafts = [
      { name: 'n2', addresses: ['10.0.0.1'] },
      { name: 'n3', addresses: ['FD00:0:0::1'] },
      { name: 'n4', dnsNames: ['n1'] },
      { name: 'n5', addresses: ['10.0.0.5'] },
      { name: 'n6', addresses: ['10.0.0.5'] },
      { name: 'n1.x' },
    ];
    const told = await nodes.import(order(drafts, { dryRun: true }), operator);
    expect(told.flatMap(({ name, problems }) => problems.map(({ field }) => `${name} ${field ?? ''}`))).toEqual([
      'n2 addresses',
      'n3 addresses',
      'n4 dnsNames',
      'n5 addresses',
      'n6 addresses',
      'n1.x name',
    ]);
    expect((await refusal(nodes.import(order(drafts), operator))).code).toBe('conflict');
    const shared = await nodes.import(order(drafts, { allowShared: true }), operator);
    expect(new Set(shared.map(({ outcome }) => outcome))).toEqual(new Set(['created']));
    // What was shared before is not held against them.
    const again = await nodes.import(
      order([{ name: 'n2', addresses: ['10.0.0.1', '10.0.0.9'] }], { existing: 'merge' }),
      operator,
    );
    expect(again[0]).toMatchObject({ outcome: 'updated' });
  });

  test('lets two machines exchange their addresses', async () => {
    const { nodes } = await startRooms(await open());
    await nodes.import(
      order([
        { name: 'n1', addresses: ['10.0.0.1'] },
        { name: 'n2', addresses: ['10.0.0.2'] },
      ]),
      operator,
    );
    const swapped = [
      { name: 'n1', addresses: ['10.0.0.2'] },
      { name: 'n2', addresses: ['10.0.0.1'] },
    ];
    await nodes.import(order(swapped, { existing: 'replace' }), operator);
    expect((await nodes.get('n1')).addresses).toEqual(['10.0.0.2']);
    const merged = nodes.import(order([{ name: 'n1', addresses: ['10.0.0.1'] }], { existing: 'merge' }), operator);
    expect((await refusal(merged)).code).toBe('conflict');
  });

  test('two at once give each address to one machine', async () => {
    const rooms = await startRooms(await open());
    const tries = ['a', 'b', 'c'].map((name) =>
      rooms.nodes.import(order([{ name, addresses: ['10.0.0.1'] }]), operator),
    );
    const settled = await Promise.allSettled(tries);
    expect(settled.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(await namesIn(rooms)).toHaveLength(1);
  });
});
