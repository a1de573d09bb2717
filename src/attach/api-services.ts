import { setTimeout as sleep } from 'node:timers/promises';

import { RotundaError } from '../errors.js';
import type { ClusterClient, ClusterObject } from './client.js';
import {
  apiServiceManifest,
  certificatesApiService,
  giveBackPatch,
  handOverPatch,
  managedBy,
  pathsOf,
  probeApiService,
  probeGroup,
} from './manifests.js';
import type { ApiService, ApiServiceCondition, ServiceReference } from './types.js';

const root = '/apis/apiregistration.k8s.io/v1/apiservices';
const pollMs = 500;

/** The object that says who serves certificates.k8s.io. Throws RotundaError 'unavailable' for a server that has none. */
export async function certificatesApi(client: ClusterClient): Promise<ApiService> {
  const found = await client.get<ApiService>(`${root}/${certificatesApiService}`);
  if (found !== undefined) return found;
  throw new RotundaError('unavailable', `the API server has no APIService ${certificatesApiService}`, {
    hint: 'it is older than Kubernetes 1.19, or its aggregation layer is off',
  });
}

/** Which service a group is handed to; undefined while the API server serves it itself. */
export function backendOf({ spec }: ApiService): ServiceReference | undefined {
  const { name, namespace, port = 443 } = spec.service ?? {};
  return name === undefined || namespace === undefined ? undefined : { name, namespace, port };
}

export function availabilityOf(service: ApiService): ApiServiceCondition | undefined {
  return service.status?.conditions?.find(({ type }) => type === 'Available');
}

/** From now on the API server forwards the group. */
export function handOver(client: ClusterClient, service: ServiceReference, bundlePem: string): Promise<ApiService> {
  return client.patch(`${root}/${certificatesApiService}`, handOverPatch(service, bundlePem));
}

/** The API server serves the group itself again, with the objects that it had before. */
export function giveBack(client: ClusterClient): Promise<ApiService> {
  return client.patch(`${root}/${certificatesApiService}`, giveBackPatch);
}

/** Creates, or replaces if it is Rotunda's own. Throws RotundaError 'already-exists' for an object of somebody else. */
export async function apply(client: ClusterClient, object: ClusterObject): Promise<'created' | 'replaced'> {
  const { collection, item } = pathsOf(object);
  const found = await client.get<ClusterObject & { spec?: { clusterIP?: string } }>(item);
  if (found === undefined) {
    await client.create(collection, object);
    return 'created';
  }
  if (!isOurs(found)) {
    const { kind = 'object', metadata } = object;
    const where = metadata.namespace === undefined ? '' : ` in ${metadata.namespace}`;
    throw new RotundaError('already-exists', `there is a ${kind} ${metadata.name}${where} that Rotunda did not make`, {
      hint: 'choose another name with --service or --namespace, or delete it',
    });
  }
  await client.replace(item, merged(object, found));
  return 'replaced';
}

/** What the API server has set and lets nobody change goes along: the version, and a Service's address. */
function merged(object: ClusterObject, found: ClusterObject & { spec?: { clusterIP?: string } }): ClusterObject {
  const { resourceVersion = '' } = found.metadata;
  const withVersion = { ...object, metadata: { ...object.metadata, resourceVersion } };
  const wanted = object as ClusterObject & { spec?: { type?: string } };
  if (object.kind !== 'Service' || wanted.spec?.type !== 'ClusterIP' || found.spec?.clusterIP === undefined)
    return withVersion;
  return { ...withVersion, spec: { ...wanted.spec, clusterIP: found.spec.clusterIP } } as ClusterObject;
}

/** Whether it carries Rotunda's label. */
function isOurs({ metadata }: ClusterObject): boolean {
  const [entry] = Object.entries(managedBy);
  return entry !== undefined && metadata.labels?.[entry[0]] === entry[1];
}

/** Deletes the object if it is there and Rotunda's own; what became of it. */
export async function removeOurs(
  client: ClusterClient,
  object: ClusterObject,
): Promise<'deleted' | 'absent' | 'foreign'> {
  const { item } = pathsOf(object);
  const found = await client.get<ClusterObject>(item);
  if (found === undefined) return 'absent';
  if (!isOurs(found)) return 'foreign';
  return (await client.remove(item, found.metadata.uid)) ? 'deleted' : 'absent';
}

/**
 * Waits until the API server has had a good answer from the service (`Available`), at most `timeoutMs`. The last
 * condition otherwise. The API server looks at once, and about every 30 seconds after a failure.
 */
export async function awaitAvailable(
  client: ClusterClient,
  name: string,
  timeoutMs: number,
): Promise<{ readonly available: boolean; readonly condition: ApiServiceCondition | undefined }> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await client.get<ApiService>(`${root}/${name}`);
    const condition = found === undefined ? undefined : availabilityOf(found);
    // What it said while the API server served the group itself is no answer.
    if (condition?.status === 'True' && condition.reason !== 'Local') return { available: true, condition };
    if (performance.now() > deadline) return { available: false, condition };
    await sleep(pollMs);
  }
}

/**
 * Has the API server reach the service under a group of no meaning, as it would for certificates.k8s.io, and takes the
 * probe away again. Says what the API server says when it cannot.
 */
export async function probeFromApiServer(
  client: ClusterClient,
  service: ServiceReference,
  bundlePem: string,
  timeoutMs: number,
): Promise<{ readonly problem: string | undefined }> {
  const object = apiServiceManifest(probeGroup, service, bundlePem);
  await removeOurs(client, object);
  await apply(client, object);
  try {
    const { available, condition } = await awaitAvailable(client, probeApiService, timeoutMs);
    if (available) return { problem: undefined };
    return {
      problem: condition === undefined ? 'no answer yet' : `${condition.reason ?? ''}: ${condition.message ?? ''}`,
    };
  } finally {
    await removeOurs(client, object);
  }
}
