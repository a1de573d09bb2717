import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { csrPath, expectObject, type KubeObject } from '../../support/kube-client.js';
import { createRequest, deleteRequest, patchRequest } from '../../support/kube-requests.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { type OpenWatch, openWatch, shapeOf, type WatchEvent } from '../../support/watch.js';

const shapes = (events: readonly WatchEvent[]): string[] => events.map(shapeOf);
const versionOf = ({ metadata }: KubeObject): number => Number(metadata.resourceVersion);
const initialEvents = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

type TableEvent = {
  readonly kind: string;
  readonly columnDefinitions: readonly unknown[] | null;
  readonly rows: readonly { readonly cells: readonly string[]; readonly object: KubeObject | null }[];
};

describeEachDatabase('a watch', (newDatabase) => {
  let service: TestService;
  let client: TestClient;
  const open: OpenWatch[] = [];

  beforeEach(async () => {
    service = await startTestService({ storeUrl: await newDatabase() });
    client = service.client(service.admin);
  });
  afterEach(async () => {
    for (const one of open.splice(0)) one.close();
    await service.stop();
  });

  async function watch(query: string, accept?: string): Promise<OpenWatch> {
    const one = await openWatch(`${service.url}${csrPath}?watch=true&${query}`, {
      dispatcher: client.agent,
      ...(accept === undefined ? {} : { headers: { accept } }),
    });
    open.push(one);
    expect([one.status, one.contentType]).toEqual([200, 'application/json']);
    return one;
  }

  it('begins where its version says', async () => {
    const a = await createRequest(client, { name: 'a' });
    await createRequest(client, { name: 'b' });
    const unset = await watch('');
    const any = await watch('resourceVersion=0');
    const from = await watch(`resourceVersion=${a.metadata.resourceVersion}`);
    const now = await watch('sendInitialEvents=false&resourceVersionMatch=NotOlderThan');
    const future = await watch(`resourceVersion=${String(versionOf(a) + 3)}`);
    // The last two tell nothing when they are ready.
    await sleep(1000);
    await createRequest(client, { name: 'c' });
    await createRequest(client, { name: 'd' });
    await createRequest(client, { name: 'e' });
    const all = ['ADDED a', 'ADDED b', 'ADDED c', 'ADDED d', 'ADDED e'];
    expect(shapes(await unset.until(5))).toEqual(all);
    expect(shapes(await any.until(5))).toEqual(all);
    expect(shapes(await from.until(4))).toEqual(all.slice(1));
    expect(shapes(await now.until(3))).toEqual(all.slice(2));
    const late = await future.until(1);
    expect(late.every(({ object }) => versionOf(object) > versionOf(a) + 3)).toBe(true);
  });

  it('shows an object that comes into the selection, goes out of it, and is deleted', async () => {
    const from = await createRequest(client, { name: 'other' });
    const by = await watch(`labelSelector=set%3Done&resourceVersion=${from.metadata.resourceVersion}`);
    await createRequest(client, { name: 'a', labels: { set: 'two' } });
    const came = await patchRequest(client, 'a', { metadata: { labels: { set: 'one' } } });
    const stayed = await patchRequest(client, 'a', { metadata: { labels: { more: 'yes' } } });
    const went = await patchRequest(client, 'a', { metadata: { labels: { set: 'two' } } });
    await patchRequest(client, 'a', { metadata: { labels: { set: 'three' } } });
    await patchRequest(client, 'a', { metadata: { labels: { set: 'one' } } });
    await deleteRequest(client, 'a');
    const events = await by.until(5);
    expect(shapes(events)).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED a', 'DELETED a']);
    expect(events[0]?.object).toEqual(came);
    expect(events[1]?.object).toEqual(stayed);
    // Its last matching state, with the version of the change that took it out.
    const { resourceVersion } = went.metadata;
    expect(events[2]?.object).toEqual({ ...stayed, metadata: { ...stayed.metadata, resourceVersion } });
  });

  it('tells of a deletion with the last state and a version of its own', async () => {
    const made = await createRequest(client, { name: 'a', finalizers: ['example.com/f'] });
    const all = await watch(`resourceVersion=${made.metadata.resourceVersion}`);
    const waiting = expectObject(await client.send('DELETE', `${csrPath}/a`), 200);
    expect(waiting.metadata.deletionTimestamp).toBeDefined();
    await patchRequest(client, 'a', { metadata: { finalizers: null } });
    const plain = await createRequest(client, { name: 'b' });
    await deleteRequest(client, 'b');
    const events = await all.until(4);
    expect(shapes(events)).toEqual(['MODIFIED a', 'DELETED a', 'ADDED b', 'DELETED b']);
    const versions = events.map(({ object }) => versionOf(object));
    expect(versions).toEqual([...new Set(versions)].sort((x, y) => x - y));
    const { resourceVersion, ...kept } = events[3]?.object.metadata ?? plain.metadata;
    expect(Number(resourceVersion)).toBeGreaterThan(versionOf(plain));
    expect({ ...kept, resourceVersion: plain.metadata.resourceVersion }).toEqual(plain.metadata);
  });

  it('as a list begins with what is there, in one snapshot, and then says so', async () => {
    const a = await createRequest(client, { name: 'a' });
    await createRequest(client, { name: 'b' });
    for (const version of ['', '&resourceVersion=0', `&resourceVersion=${a.metadata.resourceVersion}`]) {
      const one = await watch(initialEvents + version);
      expect(shapes(await one.until(3))).toEqual(['ADDED a', 'ADDED b', 'BOOKMARK']);
      const mark = one.events[2]?.object;
      expect(mark).toMatchObject({
        kind: 'CertificateSigningRequest',
        apiVersion: 'certificates.k8s.io/v1',
        metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } },
        spec: { request: null, signerName: '' },
      });
      expect(mark === undefined ? 0 : versionOf(mark)).toBeGreaterThanOrEqual(versionOf(a) + 1);
    }
    const withoutMarks = await watch('sendInitialEvents=true&resourceVersionMatch=NotOlderThan');
    await createRequest(client, { name: 'c' });
    expect(shapes(await withoutMarks.until(3))).toEqual(['ADDED a', 'ADDED b', 'ADDED c']);
    const nothing = await watch(`${initialEvents}&fieldSelector=metadata.name%3Dnobody`);
    expect(shapes(await nothing.until(1))).toEqual(['BOOKMARK']);
  });

  it('as a Table has one row per event, and columns in the first', async () => {
    await createRequest(client, { name: 'a' });
    const one = await watch(initialEvents, table);
    await one.until(2);
    await patchRequest(client, 'a', { metadata: { labels: { a: 'b' } } });
    const tables = (await one.until(3)).map(({ object }) => object as unknown as TableEvent);
    expect(one.events.map(({ type }) => type)).toEqual(['ADDED', 'BOOKMARK', 'MODIFIED']);
    expect(tables.map(({ kind }) => kind)).toEqual(['Table', 'Table', 'Table']);
    expect(tables.map(({ columnDefinitions }) => columnDefinitions?.length)).toEqual([6, undefined, undefined]);
    expect(tables[2]?.rows.map(({ cells }) => cells[0])).toEqual(['a']);
    expect(tables[2]?.rows[0]?.object).toMatchObject({
      kind: 'PartialObjectMetadata',
      metadata: { labels: { a: 'b' } },
    });
    expect(tables[1]?.rows[0]?.object?.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' });
    const bare = await watch('includeObject=None', table);
    expect(((await bare.until(1))[0]?.object as unknown as TableEvent).rows[0]?.object).toBeNull();
    const full = await watch('includeObject=Object', table);
    expect(((await full.until(1))[0]?.object as unknown as TableEvent).rows[0]?.object).toMatchObject({
      kind: 'CertificateSigningRequest',
      spec: { signerName: 'example.com/x' },
    });
  });

  it('of metadata alone is what metadata informers read', async () => {
    await createRequest(client, { name: 'a', labels: { a: 'b' } });
    const one = await watch(initialEvents, 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1');
    const [first, mark] = await one.until(2);
    expect(first?.object).toMatchObject({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' });
    expect(Object.keys(first?.object ?? {}).sort()).toEqual(['apiVersion', 'kind', 'metadata']);
    expect([mark?.type, mark?.object.kind]).toEqual(['BOOKMARK', 'PartialObjectMetadata']);
  });

  it('ends when its time is over, and not before', async () => {
    const begun = performance.now();
    const one = await watch('timeoutSeconds=1&resourceVersion=1&fieldSelector=metadata.name%3Dnobody');
    expect(await one.untilEnded()).toEqual([]);
    expect(performance.now() - begun).toBeGreaterThan(900);
    const never = await watch('timeoutSeconds=0');
    await sleep(300);
    expect(never.ended()).toBe(false);
  });

  it('shows every version of an object that many write, in order', async () => {
    const made = await createRequest(client, { name: 'a' });
    const one = await watch(`resourceVersion=${made.metadata.resourceVersion}`);
    const written = await Promise.all(
      Array.from({ length: 60 }, (_, i) => patchRequest(client, 'a', { metadata: { annotations: { i: String(i) } } })),
    );
    const events = await one.until(written.length);
    expect(events.map(({ object }) => object)).toEqual(written.sort((x, y) => versionOf(x) - versionOf(y)));
  });
});
