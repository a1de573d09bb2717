import type { ClusterClient } from './client.js';
import type { Logger } from 'pino';

import type { KeyEncryptionKey } from '../ca/types.js';
import type { Config } from '../config/types.js';
import type { AccessReviewer } from '../identity/access-reviewer.js';
import type { FrontProxySource } from '../identity/front-proxy-source.js';
import type { Token, Tokens } from '../identity/types.js';
import type { OwnCertificateParts } from '../service/own-certificate.js';
import { createLease, type Lease } from '../store/lease.js';
import type { Store, WriteTx } from '../store/types.js';
import { accessReviewer } from './access-reviews.js';
import { type CaBundleSink, caBundleSink, manualSinkBlocker, type SinkState } from './ca-bundle-sink.js';
import { type ClusterCredential, clusterCredential } from './credential.js';
import { type FrontProxyWatch, watchFrontProxy } from './front-proxy-watch.js';
import { type AttachmentDraft, type AttachmentRecord, type AttachmentStore, createAttachmentStore } from './record.js';
import { createTokenSecrets, type TokenSecretCounts, type TokenSecrets } from './token-secrets.js';

/** Three rounds of the service's recurring duties. */
const leaseMs = 45_000;

export type AttachmentOptions = OwnCertificateParts & {
  readonly config: Pick<Config, 'dataDir' | 'topology' | 'kubernetes'>;
  readonly store: Store;
  readonly kek: KeyEncryptionKey;
  readonly logger: Logger;
};

export type AttachmentStatus = {
  readonly record: AttachmentRecord | undefined;
  readonly servingRing: string;
  readonly credential: {
    readonly state: 'none' | 'ready' | 'failing';
    /** Of its client certificate, milliseconds. */
    readonly notAfter?: number;
    readonly problem?: string;
  };
  readonly sink: SinkState | undefined;
  /** Why no front proxy is known from the API server; undefined while one is. */
  readonly frontProxyProblem: string | undefined;
  readonly tokenSecrets: TokenSecretCounts;
};

/** The service's side of standing behind an API server. */
export type Attachment = {
  /** For the authenticator: whom the API server says to believe. */
  readonly frontProxy: FrontProxySource;
  readonly reviewer: AccessReviewer;
  /** DNS names that the serving certificate needs beside those of the configuration. */
  servingNames(): readonly string[];
  status(): Promise<AttachmentStatus>;
  set(draft: AttachmentDraft, actor: string): Promise<void>;
  clear(actor: string): Promise<boolean>;
  /** Called after each change, so that the serving certificate follows at once. */
  onChange(listener: () => void): void;
  /** In the transaction that makes a token. */
  tokenCreated(tx: WriteTx, token: Pick<Token, 'id' | 'kind'>, secret: string): Promise<void>;
  /** The recurring duty: credential, bundle, tokens' Secrets, the front proxy. */
  keep(tokens: Pick<Tokens, 'get'>): Promise<void>;
  /** The client for the API server, where there is a credential that works. */
  client(): ClusterClient | undefined;
  /** What keeps a rotation of the serving ring from going on by itself. */
  blocker(): ReturnType<typeof manualSinkBlocker>;
  stop(): Promise<void>;
};

type Room = {
  readonly options: AttachmentOptions;
  readonly logger: Logger;
  readonly record: AttachmentStore;
  readonly credential: ClusterCredential;
  readonly sink: CaBundleSink;
  readonly secrets: TokenSecrets;
  readonly frontProxy: FrontProxyWatch;
  readonly lease: Lease;
  /** Why the credential cannot be used. */
  problem: string | undefined;
};

/** Wires it; nothing is read or asked before `keep`, but for the record. */
export async function createAttachment(options: AttachmentOptions): Promise<Attachment> {
  const room = roomOf(options);
  const { record, credential, secrets, sink, frontProxy } = room;
  const { topology, kubernetes } = options.config;
  const listeners: (() => void)[] = [];
  const changed = (): void => listeners.forEach((listener) => listener());
  await record.refresh();
  return {
    frontProxy: frontProxy.source,
    reviewer: accessReviewer(() => credential.client()),
    client: () => credential.client(),
    servingNames: () => record.servingNames(),
    onChange: (listener) => void listeners.push(listener),
    set: async (draft, actor) => {
      await record.set(draft, actor);
      changed();
    },
    clear: async (actor) => {
      const removed = await record.clear(actor);
      if (kubernetes.kubeconfig === undefined) await secrets.forget();
      changed();
      return removed;
    },
    tokenCreated: async (tx, token, secret) => {
      if (record.current() === undefined && kubernetes.kubeconfig === undefined) return;
      await secrets.note(tx, token, secret);
      tx.onCommit(changed);
    },
    status: () => statusOf(room),
    keep: (tokens) => keep(room, tokens),
    blocker: () => manualSinkBlocker(sink.state(), options.ca.bundle(topology.kubernetesServer).generation),
    stop: async () => {
      await frontProxy.stop();
      await credential.close();
    },
  };
}

function roomOf(options: AttachmentOptions): Room {
  const { config, ca, store, kek, clock } = options;
  const { dataDir, kubernetes, topology } = config;
  const logger = options.logger.child({ component: 'attachment' });
  const own = { dataDir, configured: kubernetes.kubeconfig, clientRing: topology.kubernetesClient };
  return {
    options,
    logger,
    record: createAttachmentStore(options),
    credential: clusterCredential({ ...options, ...own }),
    sink: caBundleSink({ bundle: () => ca.bundle(topology.kubernetesServer), logger }),
    secrets: createTokenSecrets({ store, kek, logger }),
    frontProxy: watchFrontProxy(logger),
    lease: createLease({ store, clock, name: 'attachment', ttlMs: leaseMs }),
    problem: undefined,
  };
}

async function keep(room: Room, tokens: Pick<Tokens, 'get'>): Promise<void> {
  const { record, credential, logger, frontProxy, sink, secrets, lease } = room;
  const known = await record.refresh();
  try {
    await credential.keep(known);
    room.problem = undefined;
  } catch (error) {
    room.problem = error instanceof Error ? error.message : String(error);
    logger.warn({ err: error }, 'the credential for the API server cannot be used');
  }
  const client = credential.client();
  frontProxy.follow(client);
  if (known === undefined && client === undefined) return sink.keep(undefined, undefined);
  // All replicas look; one writes, so that none writes back what another has just replaced.
  const leads = (await lease.take()) !== undefined;
  await sink.keep(client, known, { readOnly: !leads });
  if (client !== undefined && leads) await secrets.keep(client, tokens);
}

async function statusOf(room: Room): Promise<AttachmentStatus> {
  const { record, credential, sink, frontProxy, secrets, options, problem } = room;
  const notAfter = credential.notAfter();
  const state = credential.client() === undefined ? 'none' : problem === undefined ? 'ready' : 'failing';
  return {
    record: await record.refresh(),
    servingRing: options.config.topology.kubernetesServer,
    credential: {
      state,
      ...(notAfter === undefined ? {} : { notAfter }),
      ...(problem === undefined ? {} : { problem }),
    },
    sink: sink.state(),
    frontProxyProblem: frontProxy.problem(),
    tokenSecrets: await secrets.counts(),
  };
}
