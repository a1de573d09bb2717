import { type KeyObject, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Authority, Bundle } from '../ca/types.js';
import { RotundaError } from '../errors.js';
import type { CopyFact } from '../rotation/types.js';
import { manualSinkBlocker, type SinkState } from './ca-bundle-sink.js';
import type { ClusterClient } from './client.js';
import { authenticationConfigMap, authenticationNamespace, authenticationPath, type ConfigMap } from './front-proxy.js';
import { certificatesApiService } from './manifests.js';

/** What API servers publish of a ring for whoever delegates its authentication to them. */
export type PublishedKey = 'client-ca-file' | 'requestheader-client-ca-file';

const origin = `${authenticationNamespace}/${authenticationConfigMap}`;
const deletion = `kubectl -n ${authenticationNamespace} delete configmap ${authenticationConfigMap}`;
const pollMs = 250;

/** Of the ring whose copy is read. */
export type CopiedRing = {
  /** Its authorities, by which certificates of the copy are known. */
  readonly authorities: readonly Authority[];
  /** Newest first; the copy is of the first of them whose anchors it holds all. */
  readonly bundles: readonly Bundle[];
  /** SKI of the authority that is to go. */
  readonly old: string;
};

export type PublishedCopy = CopyFact & {
  /** SKIs of the ring's authorities that it holds; undefined where it cannot be read. */
  readonly holds: readonly string[] | undefined;
};

/**
 * What `kube-system/extension-apiserver-authentication` holds of a ring. API servers add to it and never take out, so that
 * controller-managers, schedulers and metrics servers go on believing an authority that is in no file any more. Without a
 * client, and where it cannot be read, the fact says so.
 */
export async function readClientCaCopy(
  client: ClusterClient | undefined,
  key: PublishedKey,
  ring: CopiedRing,
): Promise<PublishedCopy> {
  const name = `${origin} ${key}`;
  if (client === undefined)
    return unseen(
      name,
      `this service has no credential for an API server: look at ${name} yourself, ${deletion}, and attest it`,
    );
  let map: ConfigMap | undefined;
  try {
    map = await client.get<ConfigMap>(authenticationPath);
  } catch (error) {
    if (!(error instanceof RotundaError)) throw error;
    return unseen(name, `${error.message}; or look at it yourself, and attest it`);
  }
  return readCopy(map?.data?.[key] ?? '', { name, key }, ring);
}

function unseen(name: string, remedy: string): PublishedCopy {
  return { name, generation: undefined, holdsOld: true, remedy, holds: undefined };
}

function readCopy(
  pem: string,
  { name, key }: { readonly name: string; readonly key: PublishedKey },
  { authorities, bundles, old }: CopiedRing,
): PublishedCopy {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const copied = blocks.map(parse);
  const begun = pem.split('-----BEGIN CERTIFICATE-----').length - 1;
  if (copied.includes(undefined) || begun > blocks.length)
    return unseen(name, `one of its certificates cannot be read: look at ${name} yourself`);
  const keys = copied.flatMap((certificate) => certificate?.publicKey ?? []);
  const holdsKey = (key: KeyObject): boolean => keys.some((held) => held.equals(key));
  const holds = authorities
    .filter(({ certificates }) => certificates.some(({ facts }) => holdsKey(facts.publicKey)))
    .map(({ ski }) => ski);
  const found = bundles.find(({ anchors }) => anchors.every(({ publicKey }) => holdsKey(publicKey)));
  const generation = found?.generation ?? 0;
  const holdsOld = holds.includes(old);
  const remedy = holdsOld
    ? `see that no API server has the old authority in its file any more, then ${deletion}: it is written again within two seconds`
    : `give every API server the current bundle as --${key}`;
  return { name, generation, holdsOld, remedy, holds };
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

/**
 * Deletes the ConfigMap, so that an API server writes it anew from the files that it has now, and waits until that has
 * happened, at most `timeoutMs`. False when there was none to delete. Throws RotundaError 'forbidden' where the credential
 * does not allow it (the one that this service makes for itself does not), 'timeout' when nobody writes it.
 */
export async function rewriteClientCaCopy(client: ClusterClient, timeoutMs = 10_000): Promise<boolean> {
  const before = await client.get<ConfigMap>(authenticationPath);
  if (before === undefined) return false;
  // That very object: one that was written since then is right already.
  await client.remove(authenticationPath, before.metadata.uid);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const now = await client.get<ConfigMap>(authenticationPath);
    if (now !== undefined && now.metadata.uid !== before.metadata.uid) return true;
    if (performance.now() > deadline)
      throw new RotundaError('timeout', `no API server has written ${origin} again since it was deleted`);
    await sleep(pollMs);
  }
}

/**
 * The copy of the serving ring's bundle in the APIService; undefined where there is none, because the group is not handed
 * over. What nobody has read back counts as the old one.
 */
export function caBundleCopy(
  state: SinkState | undefined,
  { bundles, authorities, old }: CopiedRing,
): CopyFact | undefined {
  if (state === undefined || state.state === 'detached') return undefined;
  const current = bundles[0]?.generation ?? 0;
  const blocker = manualSinkBlocker(state, current);
  const name = blocker?.sink ?? `spec.caBundle of the APIService ${certificatesApiService}`;
  const remedy = blocker?.unblock ?? 'the service keeps it in step';
  if (state.state !== 'in-step') return { name, generation: undefined, holdsOld: true, remedy };
  const bundle = bundles.find(({ generation }) => generation === state.generation);
  const key = authorities.find(({ ski }) => ski === old)?.certificates[0]?.facts.publicKey;
  const holdsOld =
    bundle === undefined || key === undefined || bundle.anchors.some(({ publicKey }) => publicKey.equals(key));
  return { name, generation: state.generation, holdsOld, remedy };
}
