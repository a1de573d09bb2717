import { timingSafeEqual } from 'node:crypto';

import type { Kysely } from 'kysely';

import type { Audit } from '../audit/types.js';
import type { KeyEncryptionKey } from '../ca/types.js';
import type { Clock, Random } from '../clock.js';
import { RotundaError } from '../errors.js';
import type { EtcdClusters, Nodes } from '../fleet/types.js';
import { findToken, insertToken, listTokens, type TokenRow } from '../store/queries/tokens.js';
import type { Schema } from '../store/schema.js';
import type { Store, WriteTx } from '../store/types.js';
import { createLiveTokens, revokeRow, secretContext } from './live-tokens.js';
import { claimToken, type TokenUse, useToken } from './token-claims.js';
import { type ReadyToken, readTokenDraft } from './token-draft.js';
import { makeToken, type TokenParts } from './token-format.js';
import { foreignToken, isExpired, tokenFactsOf, tokenIdentity, tokenOf, usagesOf } from './token-records.js';
import type { Bans, Identity, Token, TokenDraft, Tokens } from './types.js';

export type TokensOptions = {
  readonly store: Store;
  readonly kek: KeyEncryptionKey;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly nodes: Nodes;
  readonly etcd: EtcdClusters;
  readonly bans: Bans;
  /** Called in the transaction that makes a token; the secret is seen here and never again. */
  readonly created?: (tx: WriteTx, token: Token, secret: string) => Promise<void>;
};

export type TokenAuthentication = {
  /** The user of a live token; undefined when it is unknown, wrong, expired, used up or revoked. */
  authenticate(id: string, secret: string): Promise<Identity | undefined>;
  /** A certificate that was given to this token authenticated for the first time; tells whether it used a node's token up. */
  used(tx: WriteTx, use: TokenUse): Promise<boolean>;
};

/** Bootstrap tokens. Secrets rest as a keyed hash, and encrypted too where they must sign cluster-info. */
export function createTokens(options: TokensOptions): Tokens & TokenAuthentication {
  const { store, clock } = options;
  const now = (): number => clock.now().getTime();
  return {
    create: (draft, actor, how) => create(options, draft, actor, how?.dryRun ?? false),
    ...createLiveTokens(options),
    list: async () => {
      const at = now();
      return (await listTokens(store.db)).map((row) => tokenOf(row, at));
    },
    get: async (id) => tokenOf(mustBe(await findToken(store.db, id), id), now()),
    revoke: (id, actor) => store.write((tx) => revoke(options, tx, id, actor)),
    facts: async (id) => {
      const row = await findToken(store.db, id);
      return row === undefined || isExpired(row, now()) ? undefined : tokenFactsOf(row);
    },
    vouched: async (id) => {
      const row = await findToken(store.db, id);
      if (row === undefined) return foreignToken(id);
      // The API server's copy may be older than a change that took the right to authenticate.
      const counts = !isExpired(row, now()) && usagesOf(row).includes('authentication');
      return counts ? tokenFactsOf(row) : undefined;
    },
    claim: (tx, claim) => claimToken(options, tx, claim),
    used: (tx, use) => useToken(options, tx, use),
    authenticate: (id, secret) => authenticate(options, id, secret),
  };
}

const mostAttempts = 5;

async function create(
  options: TokensOptions,
  draft: TokenDraft,
  actor: Identity,
  dryRun: boolean,
): Promise<{ token: Token; secret: string }> {
  const at = options.clock.now().getTime();
  const ready = readTokenDraft(draft, actor, at);
  if (draft.etcdMember !== undefined) await options.etcd.member(draft.etcdMember.cluster, draft.etcdMember.name);
  for (let attempt = 1; ; attempt += 1) {
    const parts = ready.chosen ?? makeToken(options.random);
    try {
      if (dryRun) return await rehearse(options, { ready, parts, actor }, at);
      const row = await options.store.write((tx) => insert(options, tx, { ready, parts, actor }));
      return { token: tokenOf(row, row.created_at), secret: parts.secret };
    } catch (error) {
      const taken = error instanceof RotundaError && error.code === 'already-exists';
      if (!taken || ready.chosen !== undefined || attempt === mostAttempts) throw error;
    }
  }
}

type Creation = { readonly ready: ReadyToken; readonly parts: TokenParts; readonly actor: Identity };

/** What would come of it, without a trace. */
async function rehearse(
  options: TokensOptions,
  { ready, parts, actor }: Creation,
  at: number,
): Promise<{ token: Token; secret: string }> {
  await requireNew(options.store.db, parts.id);
  const row = rowOf(options, ready, parts, { at, by: actor.username });
  return { token: tokenOf({ ...row, revision: 0 }, at), secret: parts.secret };
}

async function requireNew(db: Kysely<Schema>, id: string): Promise<void> {
  if ((await findToken(db, id)) === undefined) return;
  const object = { resource: 'tokens', kind: 'Token', name: id };
  throw new RotundaError('already-exists', `token ${id} exists already`, { object });
}

async function insert(options: TokensOptions, tx: WriteTx, { ready, parts, actor }: Creation): Promise<TokenRow> {
  await requireNew(tx.db, parts.id);
  const at = options.clock.now().getTime();
  if (ready.enrols !== undefined) await options.nodes.ensure(tx, ready.enrols, actor);
  const row = await insertToken(tx, rowOf(options, ready, parts, { at, by: actor.username }));
  await options.created?.(tx, tokenOf(row, at), parts.secret);
  const { kind, node, cluster, member, usages, reusable, groups } = ready;
  await options.audit.record(tx, {
    action: 'token.created',
    actor: actor.username,
    resource: 'tokens',
    name: row.id,
    outcome: 'ok',
    detail: { kind, node, cluster, member, usages, groups, reusable, expiresAt: row.expires_at },
    at,
  });
  return row;
}

function rowOf(
  { kek }: TokensOptions,
  ready: ReadyToken,
  { id, secret }: TokenParts,
  created: { at: number; by: string },
): Omit<TokenRow, 'revision'> {
  const signs = ready.usages.includes('signing');
  return {
    id,
    kind: ready.kind,
    node: ready.node ?? null,
    cluster: ready.cluster ?? null,
    member: ready.member ?? null,
    secret_hash: kek.keyedHash(secret, secretContext(id)),
    wrapped_secret: signs ? kek.wrap(Buffer.from(secret), secretContext(id)) : null,
    groups: JSON.stringify(ready.groups),
    description: ready.description,
    usages: JSON.stringify(ready.usages),
    reusable: ready.reusable ? 1 : 0,
    state: 'active',
    expires_at: ready.expiresAt ?? null,
    created_at: created.at,
    created_by: created.by,
    used_at: null,
    claims: '{}',
    labels: JSON.stringify(ready.labels),
    annotations: JSON.stringify(ready.annotations),
    ended: 0,
  };
}

async function authenticate(
  { store, kek, clock }: TokensOptions,
  id: string,
  secret: string,
): Promise<Identity | undefined> {
  const row = await findToken(store.db, id);
  // Hashed and compared for an unknown id too, so that the time taken does not tell which ids exist.
  const presented = Buffer.from(kek.keyedHash(secret, secretContext(id)), 'latin1');
  const stored = row === undefined ? Buffer.alloc(presented.length) : Buffer.from(row.secret_hash, 'latin1');
  const same = presented.length === stored.length && timingSafeEqual(presented, stored);
  if (row === undefined || !same || row.state !== 'active' || isExpired(row, clock.now().getTime())) return undefined;
  return usagesOf(row).includes('authentication') ? tokenIdentity(row) : undefined;
}

async function revoke({ clock, audit }: TokensOptions, tx: WriteTx, id: string, actor: Identity): Promise<Token> {
  const row = mustBe(await findToken(tx.db, id), id);
  const at = clock.now().getTime();
  if (row.state === 'revoked') return tokenOf(row, at);
  const revoked = await revokeRow(audit, tx, { row, actor, at });
  return tokenOf(revoked, at);
}

function mustBe(row: TokenRow | undefined, id: string): TokenRow {
  if (row !== undefined) return row;
  throw new RotundaError('not-found', `there is no token ${JSON.stringify(id)}`, {
    object: { resource: 'tokens', kind: 'Token', name: id },
  });
}
