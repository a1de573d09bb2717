import type { Logger } from 'pino';

import type { KeyEncryptionKey } from '../ca/types.js';
import type { Config } from '../config/types.js';
import type { AccessReviewer } from '../identity/access-reviewer.js';
import type { FrontProxySource } from '../identity/front-proxy-source.js';
import type { Token, Tokens } from '../identity/types.js';
import type { OwnCertificateParts } from '../service/own-certificate.js';
import type { Store, WriteTx } from '../store/types.js';
import { accessReviewer } from './access-reviews.js';
import { caBundleSink, manualSinkBlocker, type SinkState } from './ca-bundle-sink.js';
import { clusterCredential } from './credential.js';
import { watchFrontProxy } from './front-proxy-watch.js';
import { type AttachmentDraft, type AttachmentRecord, createAttachmentStore } from './record.js';
import { createTokenSecrets, type TokenSecretCounts } from './token-secrets.js';

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
  /** What keeps a rotation of the serving ring from going on by itself. */
  blocker(): ReturnType<typeof manualSinkBlocker>;
  stop(): Promise<void>;
};

/** Wires it; nothing is read or asked before `keep`, but for the record. */
export async function createAttachment(options: AttachmentOptions): Promise<Attachment> {
  const { config, ca, store, kek } = options;
  const logger = options.logger.child({ component: 'attachment' });
  const record = createAttachmentStore(options);
  const credential = clusterCredential({
    ...options,
    dataDir: config.dataDir,
    configured: config.kubernetes.kubeconfig,
    clientRing: config.topology.kubernetesClient,
  });
  const bundle = (): ReturnType<typeof ca.bundle> => ca.bundle(config.topology.kubernetesServer);
  const sink = caBundleSink({ bundle, logger });
  const secrets = createTokenSecrets({ store, kek, logger });
  const frontProxy = watchFrontProxy(logger);
  const listeners: (() => void)[] = [];
  const changed = (): void => listeners.forEach((listener) => listener());
  let problem: string | undefined;
  await record.refresh();
  const keep = async (tokens: Pick<Tokens, 'get'>): Promise<void> => {
    const known = await record.refresh();
    try {
      await credential.keep(known);
      problem = undefined;
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
      logger.warn({ err: error }, 'the credential for the API server cannot be used');
    }
    const client = credential.client();
    frontProxy.follow(client);
    await sink.keep(client, known);
    if (client !== undefined) await secrets.keep(client, tokens);
  };
  return {
    frontProxy: frontProxy.source,
    reviewer: accessReviewer(credential.client),
    servingNames: record.servingNames,
    onChange: (listener) => void listeners.push(listener),
    set: async (draft, actor) => {
      await record.set(draft, actor);
      changed();
    },
    clear: async (actor) => {
      const removed = await record.clear(actor);
      changed();
      return removed;
    },
    tokenCreated: async (tx, token, secret) => {
      if (record.current() === undefined && config.kubernetes.kubeconfig === undefined) return;
      await secrets.note(tx, token, secret);
      tx.onCommit(changed);
    },
    status: async () => {
      const known = await record.refresh();
      const notAfter = credential.notAfter();
      const state = credential.client() === undefined ? 'none' : problem === undefined ? 'ready' : 'failing';
      return {
        record: known,
        servingRing: config.topology.kubernetesServer,
        credential: {
          state,
          ...(notAfter === undefined ? {} : { notAfter }),
          ...(problem === undefined ? {} : { problem }),
        },
        sink: sink.state(),
        frontProxyProblem: frontProxy.problem(),
        tokenSecrets: await secrets.counts(),
      };
    },
    keep,
    blocker: () => manualSinkBlocker(sink.state(), bundle().generation),
    stop: async () => {
      await frontProxy.stop();
      await credential.close();
    },
  };
}
