import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { pruneChanges } from '../../../src/store/queries/changes.js';
import { csrPath, expectObject, type KubeObject, mergePatch } from '../../support/kube-client.js';
import { csrPem, newEcKey } from '../../support/pkcs10.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { openWatch, shapeOf } from '../../support/watch.js';

const request = Buffer.from(csrPem(newEcKey(), { subject: [['CN', 'alice']] })).toString('base64');

async function create(client: TestClient, name: string, more: object = {}): Promise<KubeObject> {
  const spec = { request, signerName: 'example.com/x', usages: ['client auth'], ...more };
  return expectObject(await client.send('POST', csrPath, { body: { metadata: { name }, spec } }), 201);
}

async function label(client: TestClient, name: string, labels: object): Promise<KubeObject> {
  const raw = JSON.stringify({ metadata: { labels } });
  return expectObject(
    await client.send('PATCH', `${csrPath}/${name}`, { raw, headers: { 'content-type': mergePatch } }),
    200,
  );
}

const list = async (client: TestClient, query: string): Promise<KubeObject> =>
  expectObject(await client.send('GET', csrPath + query), 200);
const namesOf = ({ items = [] }: KubeObject): string[] => items.map(({ metadata }) => metadata.name);
const statesOf = ({ items = [] }: KubeObject): string[] =>
  items.map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`);
const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describeEachDatabase('lists', (newDatabase) => {
  async function withService(work: (client: TestClient, service: TestService) => Promise<void>): Promise<void> {
    const service = await startTestService({ storeUrl: await newDatabase() });
    try {
      await work(service.client(service.admin), service);
    } finally {
      await service.stop();
    }
  }

  it('of nothing are at a version that a watch can go on from', () =>
    withService(async (client, service) => {
      const empty = await list(client, '');
      expect(Number(empty.metadata.resourceVersion)).toBeGreaterThan(0);
      await create(client, 'b');
      await create(client, 'a');
      await client.send('DELETE', `${csrPath}/b`);
      const query = `?watch=true&resourceVersion=${empty.metadata.resourceVersion}`;
      const watch = await openWatch(service.url + csrPath + query, { dispatcher: client.agent });
      expect((await watch.until(3)).map(shapeOf)).toEqual(['ADDED b', 'ADDED a', 'DELETED b']);
      watch.close();
    }));

  it('in pages are one list as it was at the first page, whatever is written between them', () =>
    withService(async (client) => {
      for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await create(client, name);
      const whole = statesOf(await list(client, ''));
      const first = await list(client, '?limit=2');
      expect(first.metadata.remainingItemCount).toBe(5);
      await label(client, 'c', { changed: 'yes' });
      await label(client, 'c', { changed: 'twice' });
      await client.send('DELETE', `${csrPath}/d`);
      await create(client, 'ee');
      await client.send('DELETE', `${csrPath}/f`);
      await create(client, 'f', { signerName: 'example.com/other' });
      await client.send('DELETE', `${csrPath}/a`);
      const pages = [first];
      for (let { continue: next } = first.metadata; next !== undefined; next = pages.at(-1)?.metadata.continue) {
        pages.push(await list(client, `?limit=2&continue=${next}`));
      }
      expect(pages.map((page) => page.items?.length)).toEqual([2, 2, 2, 1]);
      expect(pages.flatMap(statesOf)).toEqual(whole);
      expect(new Set(pages.map(({ metadata }) => metadata.resourceVersion)).size).toBe(1);
      expect(namesOf(await list(client, ''))).toEqual(['b', 'c', 'e', 'ee', 'f', 'g']);
    }));

  it('in pages with a selector are one list too, and do not say how many are left', () =>
    withService(async (client) => {
      for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
        await create(client, name, { signerName: 'bcd'.includes(name) ? 'example.com/y' : 'example.com/x' });
        await label(client, name, { odd: 'ace'.includes(name) ? 'yes' : 'no' });
      }
      const first = await list(client, '?limit=1&labelSelector=odd%3Dyes');
      expect(first.metadata.remainingItemCount).toBeUndefined();
      await label(client, 'c', { odd: 'no' });
      await label(client, 'd', { odd: 'yes' });
      const rest = await list(client, `?labelSelector=odd%3Dyes&continue=${first.metadata.continue ?? ''}`);
      expect([...namesOf(first), ...namesOf(rest)]).toEqual(['a', 'c', 'e']);
      const signer = await list(client, '?limit=2&fieldSelector=spec.signerName%3Dexample.com%2Fy');
      await client.send('DELETE', `${csrPath}/d`);
      await label(client, 'e', { touched: 'yes' });
      const others = await list(
        client,
        `?fieldSelector=spec.signerName%3Dexample.com%2Fy&continue=${signer.metadata.continue ?? ''}`,
      );
      expect([...namesOf(signer), ...namesOf(others)]).toEqual(['b', 'c', 'd']);
    }));

  it('of an exact version are as it was, with and without a limit', () =>
    withService(async (client) => {
      for (const name of ['a', 'b', 'c']) await create(client, name);
      const then = await list(client, '');
      const version = then.metadata.resourceVersion;
      await label(client, 'b', { later: 'yes' });
      await client.send('DELETE', `${csrPath}/a`);
      await create(client, 'd');
      const exact = await list(client, `?resourceVersion=${version}&resourceVersionMatch=Exact`);
      expect([exact.metadata.resourceVersion, statesOf(exact)]).toEqual([version, statesOf(then)]);
      for (const match of ['&resourceVersionMatch=Exact', '']) {
        const page = await list(client, `?resourceVersion=${version}${match}&limit=2`);
        expect([page.metadata.resourceVersion, namesOf(page)]).toEqual([version, ['a', 'b']]);
        const rest = await list(client, `?limit=2&continue=${page.metadata.continue ?? ''}`);
        expect([...statesOf(page), ...statesOf(rest)]).toEqual(statesOf(then));
      }
      const newer = await list(client, `?resourceVersion=${version}&resourceVersionMatch=NotOlderThan`);
      expect(namesOf(newer)).toEqual(['b', 'c', 'd']);
      const any = await list(client, '?resourceVersion=0&limit=2');
      expect(namesOf(any)).toEqual(['b', 'c']);
    }));

  it('whose first page is forgotten are refused with a token to go on with all the same', () =>
    withService(async (client, { service }) => {
      for (const name of ['a', 'b', 'c', 'd']) await create(client, name);
      const first = await list(client, '?limit=2');
      const version = first.metadata.resourceVersion;
      await label(client, 'c', { later: 'yes' });
      const { store } = service.context;
      await store.write((tx) => pruneChanges(tx.db, { keep: 0, olderThan: Date.now() + 60_000, step: 1000 }));
      const late = await client.send('GET', `${csrPath}?limit=2&continue=${first.metadata.continue ?? ''}`);
      const status = expectObject(late, 410);
      expect(status).toMatchObject({ kind: 'Status', reason: 'Expired', code: 410 });
      expect(status.message).toMatch(/^The provided continue parameter is too old to display a consistent list result/);
      const rest = await list(client, `?limit=2&continue=${status.metadata.continue ?? ''}`);
      expect(namesOf(rest)).toEqual(['c', 'd']);
      expect(Number(rest.metadata.resourceVersion)).toBeGreaterThan(Number(version));
      const exact = await client.send('GET', `${csrPath}?resourceVersion=${version}&resourceVersionMatch=Exact`);
      expect(expectObject(exact, 410).message).toBe('The resourceVersion for the provided list is too old.');
    }));

  it(
    'of thousands show no object twice while they are written to, and a watch goes on without a gap',
    () =>
      withService(async (client, service) => {
        await fill(client, 1200);
        const stop = { now: false };
        const writer = (async (): Promise<void> => {
          for (let i = 0; !stop.now; i += 1)
            await label(client, `n${String(i % 1200).padStart(4, '0')}`, { i: String(i) });
        })();
        for (let round = 0; round < 5; round += 1) {
          const found = await list(client, '');
          expect(namesOf(found)).toHaveLength(1200);
          const newest = Math.max(...(found.items ?? []).map(({ metadata }) => Number(metadata.resourceVersion)));
          expect(newest).toBeLessThanOrEqual(Number(found.metadata.resourceVersion));
        }
        const watch = await openWatch(`${service.url}${csrPath}?watch=true`, { dispatcher: client.agent });
        await watch.until(1250, 30_000);
        stop.now = true;
        await writer;
        watch.close();
        const versions = new Map<string, number>();
        for (const event of watch.events) {
          const { name, resourceVersion } = event.object.metadata;
          expect(event.type, shapeOf(event)).toBe(versions.has(name) ? 'MODIFIED' : 'ADDED');
          expect(Number(resourceVersion)).toBeGreaterThan(versions.get(name) ?? 0);
          versions.set(name, Number(resourceVersion));
        }
      }),
    90_000,
  );
});

async function fill(client: TestClient, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, i) => `n${String(i).padStart(4, '0')}`);
  for (let at = 0; at < count; at += 100)
    await Promise.all(names.slice(at, at + 100).map((name) => create(client, name)));
}

describe('the options of lists and watches', () => {
  let service: TestService;
  let client: TestClient;
  beforeAll(async () => {
    service = await startTestService();
    client = service.client(service.admin);
    await create(client, 'only');
  });
  afterAll(() => service.stop());

  const unsupported = (value: string, supported: string): string =>
    `resourceVersionMatch: Unsupported value: "${value}": supported values: ${supported}`;
  const withoutInitial =
    'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided';
  const needsMatch =
    'resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan';
  const withContinue = 'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided';
  const forList = 'sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list';
  const token = encoded({ v: 'meta.k8s.io/v1', rv: 1, start: 'a' });

  it.each<[string, readonly string[]]>([
    ['watch=true&resourceVersionMatch=NotOlderThan', [withoutInitial]],
    ['watch=true&resourceVersionMatch=Exact', [withoutInitial, unsupported('Exact', '"NotOlderThan"')]],
    ['watch=true&sendInitialEvents=true', [needsMatch]],
    ['watch=true&sendInitialEvents=false', [needsMatch]],
    [
      'watch=true&sendInitialEvents=true&resourceVersionMatch=Exact',
      [needsMatch, unsupported('Exact', '"NotOlderThan"')],
    ],
    [`watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=${token}`, [withContinue]],
    ['sendInitialEvents=true', [forList]],
    ['sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0', [forList]],
    [
      'resourceVersionMatch=Exact',
      ['resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided'],
    ],
    [
      'resourceVersionMatch=Exact&resourceVersion=0',
      ['resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'],
    ],
    ['resourceVersionMatch=x&resourceVersion=1', [unsupported('x', '"Exact", "NotOlderThan", ""')]],
  ])('%s is refused in upstream’s words', async (query, causes) => {
    const status = expectObject(await client.send('GET', `${csrPath}?${query}`), 422);
    expect(status.reason).toBe('Invalid');
    const text = causes.length === 1 ? (causes[0] ?? '') : `[${causes.join(', ')}]`;
    expect(status.message).toBe(`ListOptions.meta.k8s.io "" is invalid: ${text}`);
  });

  it.each([
    ['resourceVersion=1&continue=' + token, 'specifying resource version is not allowed when using continue'],
    ['continue=%25', 'continue key is not valid: illegal base64 data at input byte 0'],
    [
      `continue=${encoded({ v: 'meta.k8s.io/v2', rv: 1, start: 'a' })}`,
      'server does not recognize this encoded version',
    ],
    [`continue=${encoded({ v: 'meta.k8s.io/v1', rv: 1, start: '' })}`, 'encoded start key empty'],
    [`continue=${encoded({ v: 'meta.k8s.io/v1', rv: -2, start: 'a' })}`, 'incorrect encoded start resourceVersion'],
    ['limit=x', 'strconv.ParseInt: parsing "x": invalid syntax'],
    ['limit=9223372036854775808', 'value out of range'],
    ['watch=true&timeoutSeconds=1.5', 'strconv.ParseInt: parsing "1.5": invalid syntax'],
    ['resourceVersion=-1', 'strconv.ParseUint: parsing "-1": invalid syntax'],
  ])('%s is a bad request', async (query, message) => {
    const status = expectObject(await client.send('GET', `${csrPath}?${query}`), 400);
    expect(status.message).toContain(message);
  });

  it('ask for a version that is to come: Timeout, to be tried again', async () => {
    for (const query of ['resourceVersion=999999', 'resourceVersion=999999&resourceVersionMatch=Exact']) {
      const answer = await client.send('GET', `${csrPath}?${query}`);
      expect(expectObject(answer, 504)).toMatchObject({
        reason: 'Timeout',
        message: expect.stringMatching(/^Timeout: Too large resource version: 999999, current: \d+$/) as unknown,
        details: { causes: [{ reason: 'ResourceVersionTooLarge' }], retryAfterSeconds: 1 },
      });
      expect(answer.headers['retry-after']).toBe('1');
    }
  });
});
