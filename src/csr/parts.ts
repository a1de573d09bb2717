import type { Logger } from 'pino';

import type { Audit, AuditEvent } from '../audit/types.js';
import type { Ca } from '../ca/types.js';
import type { Clock, Random } from '../clock.js';
import type { Topology } from '../config/types.js';
import type { Consumers } from '../fleet/consumers/types.js';
import type { EtcdClusters, Nodes } from '../fleet/types.js';
import { type AccessReviewer, noAccessReviewer } from '../identity/access-reviewer.js';
import type { Bans, Tokens } from '../identity/types.js';
import { createRepeats, type Repeats } from '../limits/repeats.js';
import type { Limits } from '../limits/types.js';
import type { Metrics } from '../metrics.js';
import type { RenewalPlanning } from '../rotation/renewal/types.js';
import type { Store, WriteTx } from '../store/types.js';
import type { FactSources } from './facts.js';
import { type Retention, upstreamRetention } from './retention.js';
import type { Profile, RequestFacts } from './types.js';

/** What the life of requests needs from the other rooms. */
export type RequestsOptions = {
  readonly store: Store;
  readonly ca: Ca;
  readonly tokens: Tokens;
  readonly nodes: Nodes;
  readonly etcd: EtcdClusters;
  readonly bans: Bans;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly metrics: Metrics;
  readonly profiles: readonly Profile[];
  /** Which rings are etcd's and the cluster's. */
  readonly topology: Topology;
  readonly nodeApproval: RequestFacts['nodePolicy'];
  /** Who knows what users of an API server may do; nobody when left out. */
  readonly accessReviewer?: AccessReviewer;
  /** Upstream's when left out. */
  readonly retention?: Retention;
  /** No limits when left out. */
  readonly limits?: Limits;
  /** Nobody is registered when left out. */
  readonly consumers?: Pick<Consumers, 'registerIssued'>;
  /** No certificate has a window for its renewal when left out. */
  readonly renewals?: RenewalPlanning;
  readonly logger: Logger;
};

export type Parts = Omit<RequestsOptions, 'profiles' | 'nodeApproval' | 'accessReviewer' | 'retention' | 'limits'> & {
  readonly repeats: Repeats | undefined;
  readonly accessReviewer: AccessReviewer;
  readonly retention: Retention;
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly facts: FactSources;
  /** Uids of requests that this process is issuing now. */
  readonly busy: Set<string>;
  /** Uids of those of them that somebody wanted looked at meanwhile. */
  readonly again: Set<string>;
  /** Names of requests that are being signed and not stored yet. */
  readonly arriving: Set<string>;
};

export function partsOf({ profiles, nodeApproval, limits, ...rest }: RequestsOptions): Parts {
  const accessReviewer = rest.accessReviewer ?? noAccessReviewer;
  return {
    ...rest,
    accessReviewer,
    retention: rest.retention ?? upstreamRetention,
    repeats: limits && createRepeats({ limits, clock: rest.clock, metrics: rest.metrics }),
    logger: rest.logger.child({ component: 'requests' }),
    profiles: new Map(profiles.map((profile) => [profile.signerName, profile])),
    facts: { nodes: rest.nodes, etcd: rest.etcd, bans: rest.bans, nodePolicy: nodeApproval, accessReviewer },
    busy: new Set(),
    again: new Set(),
    arriving: new Set(),
  };
}

export const service = 'system:rotunda';
/** The name of requests in the change log and in the audit log. */
export const resource = 'certificatesigningrequests';

/** An event about one request. */
export function record(parts: Parts, tx: WriteTx, event: Omit<AuditEvent, 'resource'>): Promise<void> {
  return parts.audit.record(tx, { ...event, resource });
}
