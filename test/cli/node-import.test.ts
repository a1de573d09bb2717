import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';

import { startTestService, type TestService } from '../support/service.js';
import { inProcess, type Ran, rotunda } from './rotunda.js';

let service: TestService;
let directory: string;

beforeAll(async () => {
  service = await startTestService();
  directory = mkdtempSync(path.join(tmpdir(), 'rotunda-import-'));
});
afterAll(async () => {
  await service.stop();
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  const { nodes } = service.service.context;
  const actor = { kind: 'internal', username: 'test', uid: '', groups: [], extra: {}, roles: [] } as const;
  for (const { name } of (await nodes.list({ limit: 500 })).items) await nodes.delete(name, actor);
});

const cli = (...args: string[]): Promise<Ran> => inProcess([...args, '--kubeconfig', service.kubeconfig]);
const importing = (text: string, ...args: string[]): Promise<Ran> =>
  inProcess(['node', 'import', '-f', '-', ...args, '--kubeconfig', service.kubeconfig], { input: text });
type NodeView = {
  name: string;
  addresses: string[];
  dnsNames: string[];
  labels: Record<string, string>;
  state: string;
};
async function enrolled(): Promise<NodeView[]> {
  const ran = await cli('node', 'list', '-o', 'json');
  return (JSON.parse(ran.out) as { items: NodeView[] }).items;
}

const csv = `name,addresses,dnsNames,labels
n1,10.0.0.1;fd00::1,n1.example.org,rack=a;zone=z1
n2,10.0.0.2,,

"n3"," 10.0.0.3  10.1.0.3 ","n3.example.org",gpu
`;

const list = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name: 'k1',
        uid: 'x',
        labels: { 'kubernetes.io/hostname': 'k1', 'node-role.kubernetes.io/control-plane': '' },
        annotations: { a: 'b' },
      },
      spec: { podCIDR: '10.244.0.0/24', taints: [{ effect: 'NoSchedule', key: 'x' }] },
      status: {
        addresses: [
          { type: 'InternalIP', address: '10.2.0.1' },
          { type: 'InternalIP', address: 'fd00::2:1' },
          { type: 'ExternalIP', address: '203.0.113.9' },
          { type: 'Hostname', address: 'k1' },
          { type: 'InternalDNS', address: 'k1.internal' },
          { type: 'ExternalDNS', address: 'k1.example.com' },
        ],
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'k2' },
      status: { addresses: [{ type: 'Hostname', address: '10.2.0.2' }] },
    },
    { apiVersion: 'v1', kind: 'Node', metadata: { name: 'k3' } },
  ],
};

describe('as a process', () => {
  it('reads a file, tells what it did, and does nothing the second time', async () => {
    const file = path.join(directory, 'nodes.csv');
    writeFileSync(file, csv);
    const env = { ROTUNDA_KUBECONFIG: service.kubeconfig };
    const first = await rotunda(['node', 'import', '-f', file], { env });
    expect([first.code, first.err]).toEqual([0, '3 created, 0 updated, 0 unchanged\n']);
    expect(first.out).toMatch(/^NAME +OUTCOME +STATE +WHAT\nn1 +created +expected +addresses,dnsNames,labels\n/);
    const again = await rotunda(['node', 'import', '-f', '-', '-o', 'json'], { env, input: csv });
    expect([again.code, again.err]).toEqual([0, '0 created, 0 updated, 3 unchanged\n']);
    expect(JSON.parse(again.out)).toMatchObject({ items: [{ name: 'n1', outcome: 'unchanged' }, {}, {}] });
  });
});

describe('what can be imported', () => {
  it('is CSV, with quotes, a mark, and lines as Windows ends them', async () => {
    const ran = await importing(`\uFEFF${csv.replaceAll('\n', '\r\n')}`);
    expect([ran.code, ran.err]).toEqual([0, '3 created, 0 updated, 0 unchanged\n']);
    expect(await enrolled()).toMatchObject([
      {
        name: 'n1',
        addresses: ['10.0.0.1', 'fd00::1'],
        dnsNames: ['n1.example.org'],
        labels: { rack: 'a', zone: 'z1' },
      },
      { name: 'n2', addresses: ['10.0.0.2'], dnsNames: [], labels: {} },
      { name: 'n3', addresses: ['10.0.0.3', '10.1.0.3'], labels: { gpu: '' } },
    ]);
  });

  it.each([
    ['YAML', stringify(list)],
    ['JSON', JSON.stringify(list)],
    ['one document for each', list.items.map((item) => stringify(item)).join('---\n')],
  ])('is the nodes of a live cluster as kubectl prints them (%s)', async (_form, text) => {
    const ran = await importing(text);
    expect([ran.code, ran.err]).toEqual([0, '3 created, 0 updated, 0 unchanged\n']);
    expect(await enrolled()).toMatchObject([
      {
        name: 'k1',
        addresses: ['10.2.0.1', '203.0.113.9', 'fd00::2:1'],
        dnsNames: ['k1.example.com', 'k1.internal'],
        labels: { 'kubernetes.io/hostname': 'k1', 'node-role.kubernetes.io/control-plane': '' },
      },
      { name: 'k2', addresses: ['10.2.0.2'], dnsNames: [] },
      { name: 'k3', addresses: [] },
    ]);
    expect((await importing(text, '--no-labels')).err).toBe('0 created, 0 updated, 3 unchanged\n');
  });

  it('is what this service lists, and its objects', async () => {
    await importing(csv);
    const listed = (await cli('node', 'list', '-o', 'yaml')).out;
    expect((await importing(listed)).err).toBe('0 created, 0 updated, 3 unchanged\n');
    const object = {
      apiVersion: 'rotunda.dev/v1',
      kind: 'Node',
      metadata: { name: 'n1' },
      spec: { addresses: ['10.0.0.9'] },
    };
    expect((await importing(stringify(object), '--existing', 'merge')).err).toBe('0 created, 1 updated, 0 unchanged\n');
    expect((await importing('- name: n9\n  addresses: [10.0.0.99]\n')).err).toBe('1 created, 0 updated, 0 unchanged\n');
  });
});

describe('what is wrong', () => {
  const cases: readonly (readonly [what: string, text: string, says: RegExp])[] = [
    ['nothing at all', '', /there is no node in standard input/],
    ['a header alone', 'name,addresses\n', /there is no node/],
    ['an unknown column', 'name,rack\nn1,a\n', /there is no column "rack"/],
    ['a column twice', 'name,name\nn1,n1\n', /the column name is there twice/],
    ['no name', 'addresses,labels\n10.0.0.1,\n', /there is no column name/],
    ['semicolons between columns', 'name;addresses\nn1;10.0.0.1\n', /"name;addresses"[\s\S]*separated by commas/],
    ['a row that is too short', 'name,addresses\nn1,10.0.0.1\nn2\n', /line 3: the row has another number of cells/],
    ['an open quote', 'name,addresses\n"n1,10.0.0.1\n', /line \d: a quote is not closed/],
    ['a quote within a cell', 'name,addresses\nn"1,10.0.0.1\n', /line 2: a quote is inside a cell/],
    ['a huge cell', `name,addresses\nn1,${'1'.repeat(1_000_000)}\n`, /a row is longer than 65536 characters/],
    ['a formula', 'name,addresses\n"=HYPERLINK(""http://x"")",10.0.0.1\n', /line 2: name: Invalid value/],
    [
      'a bad address',
      'name,addresses\nn1,10.0.0.1\n\nn2,10.0.0.0/8;x\n',
      /line 4: addresses\[0\][^]*line 4: addresses\[1\]/,
    ],
    [
      'another kind',
      stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } }),
      /this is "Pod", not a Node/,
    ],
    ['an unknown field', '- name: n1\n- name: n2\n  rack: a\n', /item 2, line 2: rack: there is no such field/],
    ['a number for a name', '- name: 7\n', /item 1, line 1: name/],
    ['a key twice', '- name: n1\n  name: n2\n', /Map keys must be unique at line 2/],
    ['broken YAML', '- name: [n1\n', /line 2/],
    ['a tag', '- name: !!js/function "x"\n', /tag/i],
    ['a name twice', '- name: n1\n- name: n2\n- name: n1\n', /item 3, line 3: the name "n1" is in item 1, line 1 too/],
    [
      'an address twice',
      'name,addresses\nn1,10.0.0.1\nn2,10.0.0.1\n',
      /line 3: the address "10.0.0.1" is in line 2 too/,
    ],
    ['text that is not UTF-8', 'name\u0000\nn1\n', /is not text in UTF-8/],
    ['a scalar', 'just a sentence: no\n', /the object|line 1/],
  ];
  it.each(cases)('%s', async (_what, text, says) => {
    const ran = await importing(text);
    expect(ran.code, ran.err).not.toBe(0);
    expect(ran.err).toMatch(/^error: /);
    expect(ran.err).toMatch(says);
    expect([ran.out, await enrolled()]).toEqual(['', []]);
  });

  it('an alias of an alias', async () => {
    const levels = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map(
        (key, i) =>
          `${key}: &${key} [${Array(9)
            .fill(`*${'abcdefgh'[i] ?? ''}`)
            .join(',')}]`,
      ),
    ];
    const ran = await importing(`${levels.join('\n')}\nname: *h\n`);
    expect([ran.code, ran.err]).toEqual([1, expect.stringContaining('Excessive alias count') as string]);
  });

  it('what is in conflict, which a dry run shows and an import refuses', async () => {
    await importing(csv);
    const text = 'name,addresses\nn1,10.0.0.77\nn8,10.0.0.2\nn9,10.0.0.9\n';
    const told = await importing(text, '--dry-run');
    expect([told.code, told.out]).toEqual([
      2,
      expect.stringMatching(/n1 +conflict[^\n]+\nn8 +conflict[^\n]+"n2"\nn9 +created/) as string,
    ]);
    const refused = await importing(text);
    expect(refused.err).toMatch(
      /2 entries are in conflict; nothing was enrolled\nerror: line 2: n1: addresses: [^]*error: line 3: n8: [^]*--existing merge/,
    );
    expect(await enrolled()).toHaveLength(3);
    const taken = await importing(text, '--existing', 'replace', '--allow-shared');
    expect([taken.code, taken.err]).toEqual([0, '2 created, 1 updated, 0 unchanged\n']);
  });

  it('a file that is not there, and flags that do not fit', async () => {
    expect((await cli('node', 'import', '-f', path.join(directory, 'none.csv'))).err).toMatch(
      /^error: cannot read .*none.csv/,
    );
    expect((await cli('node', 'import')).code).toBe(1);
    expect((await importing(csv, '--ttl', '1h')).err).toMatch(/^error: --ttl belongs to --create-tokens/);
    expect((await importing(csv, '--existing', 'drop')).code).toBe(1);
  });
});

describe('tokens for what is imported', () => {
  it('are one for each machine that has not joined, and let it in', async () => {
    await importing(csv);
    const { nodes } = service.service.context;
    await service.service.context.store.write((tx) => nodes.joined(tx, 'n2', Date.now()));
    const ran = await importing(csv, '--create-tokens', '--ttl', '2h');
    expect([ran.code, ran.err]).toEqual([
      0,
      '0 created, 0 updated, 3 unchanged\n1 without a token, because they have joined or are disabled\n',
    ]);
    const [header, ...rows] = ran.out.trim().split('\n');
    expect(header).toBe('name,token,expiresAt');
    expect(rows.map((row) => row.split(',')[0])).toEqual(['n1', 'n3']);
    for (const row of rows) {
      const [name, token = '', expiresAt = ''] = row.split(',');
      expect(Date.parse(expiresAt) - Date.now()).toBeGreaterThan(7_000_000);
      const who = await service.client({ token }).send('GET', '/pki/v1/whoami');
      expect([name, who.status]).toEqual([name, 200]);
    }
    const asJson = await importing(csv, '--create-tokens', '-o', 'json');
    expect(JSON.parse(asJson.out)).toMatchObject({ items: [{ node: 'n1' }, { node: 'n3' }] });
    expect((await importing(csv, '--create-tokens', '--dry-run')).out).not.toContain('token');
  });

  it('come with a replacement where that is asked for', async () => {
    await importing(csv);
    const ran = await cli('node', 'replace', 'n1', '--create-token', '--ttl', '4h', '-o', 'json');
    expect(JSON.parse(ran.out)).toMatchObject({
      node: 'n1',
      kind: 'node',
      token: expect.stringMatching(/^\w{6}\.\w{16}$/) as string,
    });
    expect((await cli('node', 'replace', 'n1', '--ttl', '4h')).err).toMatch(/--ttl belongs to --create-token/);
  });
});

describe('any other text', () => {
  const cell = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom('n1', '10.0.0.1', '"', '""', ';', '=', '\n', 'a=b', '=1+1'),
  );
  const pieces = fc.constantFrom(
    'name',
    'addresses',
    'labels',
    ',',
    ';',
    '\n',
    '\r\n',
    '"',
    '- ',
    ': ',
    '{',
    '}',
    '[',
    ']',
    'kind',
    'Node',
    'items',
    '&a',
    '*a',
    '---',
    'n1',
    '10.0.0.1',
    '\t',
    '#',
    '!!x',
  );

  it('is refused in words or imported, and never a defect', async () => {
    const text = fc.oneof(
      fc
        .array(fc.array(cell, { maxLength: 5 }), { maxLength: 5 })
        .map((rows) => ['name,addresses', ...rows.map((row) => row.join(','))].join('\n')),
      fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join('')),
      fc.json().map((json) => json),
      fc
        .anything({ maxDepth: 3 })
        .map((value) =>
          stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, status: { addresses: value } }),
        ),
    );
    await fc.assert(
      fc.asyncProperty(text, async (input) => {
        const ran = await importing(input, '--dry-run');
        expect([0, 1, 2]).toContain(ran.code);
        // A stack or a 500 would be a defect.
        expect(ran.err).not.toMatch(/\n {4}at |\(internal\)/);
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
