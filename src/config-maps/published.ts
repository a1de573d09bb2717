import type { Kysely } from 'kysely';

import { loadBundle } from '../ca/bundles.js';
import type { Ca } from '../ca/types.js';
import type { Config } from '../config/types.js';
import { RotundaError } from '../errors.js';
import type { Tokens } from '../identity/types.js';
import { currentGeneration } from '../store/queries/rings.js';
import type { Schema } from '../store/schema.js';
import type { Store } from '../store/types.js';
import { clusterInfoData } from './cluster-info.js';
import type { ConfigMapContent, ConfigMapKey } from './types.js';

export type PublishedOptions = {
  readonly store: Store;
  readonly ca: Ca;
  readonly tokens: Pick<Tokens, 'signers'>;
  readonly config: Pick<Config, 'topology' | 'kubernetes' | 'advertiseUrl'>;
  /** Where this service listens, for who configured no address. Always the same answer. */
  readonly ownUrl: () => string;
};

/** A ConfigMap that follows from something else. */
export type Published = ConfigMapKey & {
  /** What it says by what `db` holds. Throws 'forbidden' where it cannot say anything that is true. */
  readonly compute: (db: Kysely<Schema>) => Promise<ConfigMapContent>;
};

export const clusterInfoKey: ConfigMapKey = { namespace: 'kube-public', name: 'cluster-info' };
/** One for all namespaces; stored under none. */
export const rootCaKey: ConfigMapKey = { namespace: '', name: 'kube-root-ca.crt' };

const description =
  'The anchors of this cluster: with them a client verifies the API server at kubernetes.default.svc and its other internal addresses.';

/** Everything that is published, by what it follows from. */
export function publishedConfigMaps(options: PublishedOptions): readonly Published[] {
  return [
    { ...clusterInfoKey, compute: (db) => clusterInfo(options, db) },
    { ...rootCaKey, compute: (db) => rootCa(options, db) },
    ...options.config.kubernetes.configMaps.map(({ namespace, name, ...content }) => ({
      namespace,
      name,
      compute: () => Promise.resolve(content),
    })),
  ];
}

/** Throws 'forbidden' where clients and servers have separate authorities: kubeadm trusts one bundle for both. */
export function requireOneBundle({ topology }: Pick<Config, 'topology'>): void {
  if (topology.kubernetesClient === topology.kubernetesServer) return;
  throw new RotundaError(
    'forbidden',
    `the rings ${topology.kubernetesClient} and ${topology.kubernetesServer} issue client and serving certificates apart, ` +
      'and kubeadm trusts one bundle for both: join with kubelet configuration files of your own, with a clientCAFile',
  );
}

async function clusterInfo(options: PublishedOptions, db: Kysely<Schema>): Promise<ConfigMapContent> {
  const { kubernetes, advertiseUrl } = options.config;
  requireOneBundle(options.config);
  const data = clusterInfoData({
    server: kubernetes.apiServer ?? advertiseUrl ?? options.ownUrl(),
    bundlePem: await bundlePem(options, db),
    signers: await options.tokens.signers(db),
  });
  return { labels: {}, annotations: {}, data };
}

async function rootCa(options: PublishedOptions, db: Kysely<Schema>): Promise<ConfigMapContent> {
  const data = { 'ca.crt': await bundlePem(options, db) };
  return { labels: {}, annotations: { 'kubernetes.io/description': description }, data };
}

/** The bundle as the database has it: another replica may have changed it a moment ago. */
async function bundlePem({ ca, config }: PublishedOptions, db: Kysely<Schema>): Promise<string> {
  const ring = config.topology.kubernetesServer;
  const known = ca.bundle(ring);
  const generation = await currentGeneration(db, ring);
  const same = generation === undefined || generation === known.generation;
  return (same ? known : await loadBundle(db, ring, generation)).pem;
}
