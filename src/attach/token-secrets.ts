import type { Logger } from 'pino';

import type { KeyEncryptionKey } from '../ca/types.js';
import { RotundaError } from '../errors.js';
import { kubeadmNodeGroup } from '../identity/token-format.js';
import type { Token, Tokens } from '../identity/types.js';
import {
  deleteAllTokenSecrets,
  deleteTokenSecret,
  insertTokenSecret,
  listTokenSecrets,
  type TokenSecretRow,
  updateTokenSecret,
} from '../store/queries/token-secrets.js';
import type { Store, WriteTx } from '../store/types.js';
import type { ClusterClient, ClusterObject } from './client.js';
import { managedBy } from './manifests.js';

const collection = '/api/v1/namespaces/kube-system/secrets';

export type TokenSecretsOptions = {
  readonly store: Store;
  readonly kek: KeyEncryptionKey;
  readonly logger: Logger;
};

export type TokenSecretCounts = {
  readonly written: number;
  readonly waiting: number;
  readonly problems: readonly string[];
};

export type TokenSecrets = {
  /** Notes a new token in its own transaction; its secret rests encrypted until it is written. */
  note(tx: WriteTx, token: Pick<Token, 'id' | 'kind'>, secret: string): Promise<void>;
  /** Writes what is new and deletes what is no longer live. One that fails does not keep the others. */
  keep(client: ClusterClient, tokens: Pick<Tokens, 'get'>): Promise<void>;
  counts(): Promise<TokenSecretCounts>;
  /** When this service no longer stands behind that API server: what is left there goes with `detach`. */
  forget(): Promise<void>;
};

/**
 * Tokens made by Rotunda as Secrets of type bootstrap.kubernetes.io/token in kube-system, so that the API server
 * authenticates who presents one. A Secret is deleted when its token is used up, revoked or expired, and only the very
 * Secret that was made here (by uid); one of the same name that somebody else made is left alone and reported.
 */
export function createTokenSecrets({ store, kek, logger }: TokenSecretsOptions): TokenSecrets {
  const contextOf = (id: string): string => `token-secret/${id}`;
  const write = async (client: ClusterClient, row: TokenSecretRow, token: Token): Promise<void> => {
    if (row.wrapped_secret === null) return;
    const secret = kek.unwrap(row.wrapped_secret, contextOf(row.token_id)).toString();
    try {
      const { metadata } = await client.create<ClusterObject>(collection, secretOf(token, secret));
      const done = { secret_uid: metadata.uid ?? null, wrapped_secret: null, problem: null };
      await store.write((tx) => updateTokenSecret(tx.db, row.token_id, done));
    } catch (error) {
      if (!(error instanceof RotundaError) || error.code !== 'already-exists') throw error;
      const problem = `there is a Secret ${nameOf(row.token_id)} in kube-system that this service did not make`;
      logger.warn({ token: row.token_id }, problem);
      await store.write((tx) => updateTokenSecret(tx.db, row.token_id, { wrapped_secret: null, problem }));
    }
  };
  const drop = async (client: ClusterClient, row: TokenSecretRow): Promise<void> => {
    if (row.secret_uid !== null) await removeExactly(client, row.token_id, row.secret_uid);
    await store.write((tx) => deleteTokenSecret(tx.db, row.token_id));
  };
  return {
    note: async (tx, { id, kind }, secret) => {
      // The others are presented to Rotunda itself, never to the API server.
      if (kind !== 'node' && kind !== 'unbound') return;
      const wrapped = kek.wrap(Buffer.from(secret), contextOf(id));
      await insertTokenSecret(tx.db, { token_id: id, wrapped_secret: wrapped, secret_uid: null, problem: null });
    },
    keep: async (client, tokens) => {
      for (const row of await listTokenSecrets(store.db)) {
        try {
          const token = await tokens.get(row.token_id);
          if (token.state !== 'active') await drop(client, row);
          else if (row.secret_uid === null && row.problem === null) await write(client, row, token);
        } catch (error) {
          logger.warn(
            { err: error, token: row.token_id },
            'the Secret of a token could not be kept; it is tried again',
          );
        }
      }
    },
    forget: () => store.write((tx) => deleteAllTokenSecrets(tx.db)),
    counts: async () => {
      const rows = await listTokenSecrets(store.db);
      return {
        written: rows.filter((row) => row.secret_uid !== null).length,
        waiting: rows.filter((row) => row.secret_uid === null && row.problem === null).length,
        problems: rows.flatMap(({ problem }) => (problem === null ? [] : [problem])),
      };
    },
  };
}

/** Gone, or replaced by somebody else's: both are as wanted. */
async function removeExactly(client: ClusterClient, id: string, uid: string): Promise<void> {
  try {
    await client.remove(`${collection}/${nameOf(id)}`, uid);
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'conflict') throw error;
  }
}

function nameOf(id: string): string {
  return `bootstrap-token-${id}`;
}

/**
 * As upstream's bootstrap token authenticator reads it; without an expiration it lives until it is deleted. A node's
 * token without groups of its own gets kubeadm's: by that group the cluster's RBAC lets nodes ask for certificates. One
 * that is bound to no node would be given with it what it was made without.
 */
function secretOf(token: Token, secret: string): ClusterObject & { readonly stringData: Record<string, string> } {
  const { id, kind, usages, description, expiresAt } = token;
  const groups = token.groups.length === 0 && kind === 'node' ? [kubeadmNodeGroup] : token.groups;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: nameOf(id), namespace: 'kube-system', labels: managedBy },
    ...{ type: 'bootstrap.kubernetes.io/token' },
    stringData: {
      'token-id': id,
      'token-secret': secret,
      ...Object.fromEntries(usages.map((usage) => [`usage-bootstrap-${usage}`, 'true'])),
      ...(groups.length === 0 ? {} : { 'auth-extra-groups': groups.join(',') }),
      ...(description === '' ? {} : { description }),
      ...(expiresAt === undefined ? {} : { expiration: `${new Date(expiresAt).toISOString().slice(0, 19)}Z` }),
    },
  };
}
