import { timingSafeEqual } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

import type { Audit } from '../audit/types.js';
import type { KeyEncryptionKey } from '../ca/types.js';
import type { Clock } from '../clock.js';
import { type FieldCause, invalid, RotundaError } from '../errors.js';
import {
  changeToken,
  endToken,
  findToken,
  listLiveTokens,
  listSigningTokens,
  listUnendedTokens,
  type TokenRow,
} from '../store/queries/tokens.js';
import type { Store, WriteTx } from '../store/types.js';
import { readTokenDraft } from './token-draft.js';
import { isExpired, tokenOf, usagesOf } from './token-records.js';
import type { Identity, LiveToken, TokenChange, TokenDraft, Tokens } from './types.js';

type Options = {
  readonly store: Store;
  readonly kek: KeyEncryptionKey;
  readonly clock: Clock;
  readonly audit: Audit;
};

type LiveTokens = Pick<Tokens, 'live' | 'liveOne' | 'change' | 'end' | 'endExpired' | 'signers'>;

/** Expired tokens whose end is published in one write. */
const endedAtOnce = 500;

/** Ties a hash or ciphertext to its token, so that no row can carry another's. */
export function secretContext(id: string): string {
  return `bootstrap-token/${id}`;
}

/** Tokens as the objects that they are while they are good: what kubeadm and kubectl see of them, and may change. */
export function createLiveTokens(options: Options): LiveTokens {
  const { store, clock, kek } = options;
  const now = (): number => clock.now().getTime();
  return {
    live: async () => {
      const at = now();
      return (await listLiveTokens(store.db, at)).map((row) => liveOf(kek, row, at));
    },
    liveOne: async (id) => {
      const at = now();
      const row = await findToken(store.db, id);
      return row === undefined || !isLive(row, at) ? undefined : liveOf(kek, row, at);
    },
    change: async (id, decide, actor, { dryRun }) => {
      if (dryRun) return rehearse(options, id, decide, actor);
      return store.write((tx) => change(options, tx, { id, decide, actor }));
    },
    end: async (id, check, actor, { dryRun }) => {
      if (!dryRun) return store.write((tx) => end(options, tx, { id, check, actor }));
      const current = liveOf(kek, mustBeLive(await findToken(store.db, id), id, now()), now());
      check(current);
      return current;
    },
    endExpired: async () => {
      // A look first: most of the time there is nothing, and a write costs a sync of the disk.
      while ((await listUnendedTokens(store.db, now(), 1)).length > 0) {
        await store.write(async (tx) => {
          for (const row of await listUnendedTokens(tx.db, now(), endedAtOnce)) await endToken(tx, row, {});
        });
      }
    },
    signers: async (db = store.db) =>
      (await listSigningTokens(db, now())).flatMap((row) => {
        const secret = secretOf(kek, row);
        return secret === undefined ? [] : [{ id: row.id, secret }];
      }),
  };
}

function isLive(row: TokenRow, now: number): boolean {
  return row.state === 'active' && !isExpired(row, now);
}

function mustBeLive(row: TokenRow | undefined, id: string, now: number): TokenRow {
  if (row !== undefined && isLive(row, now)) return row;
  throw new RotundaError('not-found', `there is no live token ${JSON.stringify(id)}`, {
    object: { resource: 'tokens', kind: 'Token', name: id },
  });
}

function liveOf(kek: KeyEncryptionKey, row: TokenRow, now: number): LiveToken {
  return { token: tokenOf(row, now), secret: secretOf(kek, row) };
}

function secretOf(kek: KeyEncryptionKey, { id, wrapped_secret: wrapped }: TokenRow): string | undefined {
  return wrapped === null ? undefined : kek.unwrap(wrapped, secretContext(id)).toString();
}

type Change = {
  readonly id: string;
  readonly decide: (current: LiveToken) => TokenChange;
  readonly actor: Identity;
};

async function change(options: Options, tx: WriteTx, { id, decide, actor }: Change): Promise<LiveToken> {
  const { kek, clock, audit } = options;
  const at = clock.now().getTime();
  const row = mustBeLive(await findToken(tx.db, id), id, at);
  const written = columnsOf(options, row, decide(liveOf(kek, row, at)), actor, at);
  if (written === undefined) return liveOf(kek, row, at);
  const changed = await changeToken(tx, row, written);
  await audit.record(tx, {
    action: 'token.changed',
    actor: actor.username,
    resource: 'tokens',
    name: id,
    outcome: 'ok',
    detail: { changed: Object.keys(written).filter((column) => column !== 'wrapped_secret') },
    at,
  });
  return liveOf(kek, changed, at);
}

async function rehearse(options: Options, id: string, decide: Change['decide'], actor: Identity): Promise<LiveToken> {
  const { kek, clock, store } = options;
  const at = clock.now().getTime();
  const row = mustBeLive(await findToken(store.db, id), id, at);
  return liveOf(kek, { ...row, ...columnsOf(options, row, decide(liveOf(kek, row, at)), actor, at) }, at);
}

/** The columns that a change writes; undefined when it asks for what is there. Throws what a new token like that would. */
function columnsOf(
  { kek }: Options,
  row: TokenRow,
  wanted: TokenChange,
  actor: Identity,
  now: number,
): Partial<TokenRow> | undefined {
  const current = tokenOf(row, now);
  const ready = readTokenDraft(draftOf(row, wanted, current.expiresAt), actor, now);
  const causes = secretCauses(kek, row, wanted);
  if (causes.length > 0) throw invalid(causes, { resource: 'tokens', kind: 'Token' });
  const { secret } = wanted;
  const signs = ready.usages.includes('signing');
  const starts = signs && row.wrapped_secret === null && secret !== undefined;
  const columns: Partial<TokenRow> = {
    ...differing('description', row.description, ready.description),
    ...differing('expires_at', row.expires_at, wanted.expiresAt ?? null),
    ...differing('groups', row.groups, JSON.stringify(ready.groups)),
    ...differing('usages', row.usages, JSON.stringify(ready.usages)),
    ...(isDeepStrictEqual(current.labels, wanted.labels) ? {} : { labels: JSON.stringify(wanted.labels) }),
    ...(isDeepStrictEqual(current.annotations, wanted.annotations)
      ? {}
      : { annotations: JSON.stringify(wanted.annotations) }),
    ...(starts ? { wrapped_secret: kek.wrap(Buffer.from(secret), secretContext(row.id)) } : {}),
    ...(!signs && row.wrapped_secret !== null ? { wrapped_secret: null } : {}),
  };
  return Object.keys(columns).length === 0 ? undefined : columns;
}

function differing<K extends 'description' | 'expires_at' | 'groups' | 'usages'>(
  column: K,
  before: TokenRow[K],
  after: TokenRow[K],
): Partial<TokenRow> {
  return before === after ? {} : { [column]: after };
}

/** The token as if it were made anew, so that every rule for new tokens holds; what does not change is not judged again. */
function draftOf(row: TokenRow, wanted: TokenChange, expiresAt: number | undefined): TokenDraft {
  const { description, groups, usages, labels, annotations } = wanted;
  const lifetime =
    wanted.expiresAt === expiresAt
      ? {}
      : wanted.expiresAt === undefined
        ? { ttlMs: 0 }
        : { expiresAt: wanted.expiresAt };
  const binding =
    row.kind === 'node' && row.node !== null
      ? { node: { name: row.node, addresses: [], dnsNames: [] } }
      : row.kind === 'control-plane' && row.node !== null
        ? { controlPlane: row.node }
        : row.cluster !== null && row.member !== null
          ? { etcdMember: { cluster: row.cluster, name: row.member } }
          : {};
  return { ...binding, ...lifetime, reusable: row.reusable === 1, description, groups, usages, labels, annotations };
}

function secretCauses(kek: KeyEncryptionKey, row: TokenRow, { secret, usages }: TokenChange): FieldCause[] {
  if (secret !== undefined && !isSecret(kek, row, secret)) {
    const message = 'Forbidden: the secret of a token does not change; make another token';
    return [{ field: 'secret', reason: 'FieldValueForbidden', message }];
  }
  const starts = usages.includes('signing') && !usagesOf(row).includes('signing');
  if (!starts || secret !== undefined || row.wrapped_secret !== null) return [];
  const message = 'Required value: a token that signs needs its secret kept, and only its keyed hash is there';
  return [{ field: 'secret', reason: 'FieldValueRequired', message }];
}

/** In constant time. */
function isSecret(kek: KeyEncryptionKey, row: Pick<TokenRow, 'id' | 'secret_hash'>, secret: string): boolean {
  const presented = Buffer.from(kek.keyedHash(secret, secretContext(row.id)), 'latin1');
  const stored = Buffer.from(row.secret_hash, 'latin1');
  return presented.length === stored.length && timingSafeEqual(presented, stored);
}

type End = { readonly id: string; readonly check: (current: LiveToken) => void; readonly actor: Identity };

async function end({ kek, clock, audit }: Options, tx: WriteTx, { id, check, actor }: End): Promise<LiveToken> {
  const at = clock.now().getTime();
  const row = mustBeLive(await findToken(tx.db, id), id, at);
  check(liveOf(kek, row, at));
  const ended = await revokeRow(audit, tx, { row, actor, at });
  return { token: { ...tokenOf(row, at), revision: ended.revision }, secret: undefined };
}

/** Revokes and records it. */
export async function revokeRow(
  audit: Audit,
  tx: WriteTx,
  { row, actor, at }: { readonly row: TokenRow; readonly actor: Identity; readonly at: number },
): Promise<TokenRow> {
  const revoked = await endToken(tx, row, { state: 'revoked' });
  await audit.record(tx, {
    action: 'token.revoked',
    actor: actor.username,
    resource: 'tokens',
    name: row.id,
    outcome: 'ok',
    detail: {},
    at,
  });
  return revoked;
}
