import type { TokenFacts } from './types.js';
import { parseClaims } from '../fleet/claims.js';
import type { TokenRecord, TokenRow } from '../store/queries/tokens.js';
import { bootstrappersGroup } from './token-format.js';
import type { Identity, Token } from './types.js';

export function isExpired(row: Pick<TokenRow, 'expires_at'>, now: number): boolean {
  return row.expires_at !== null && now >= row.expires_at;
}

export function tokenOf(row: TokenRecord, now: number): Token {
  return {
    id: row.id,
    kind: row.kind,
    node: row.node ?? undefined,
    cluster: row.cluster ?? undefined,
    member: row.member ?? undefined,
    groups: JSON.parse(row.groups) as string[],
    usages: usagesOf(row),
    description: row.description,
    reusable: row.reusable === 1,
    state: row.state === 'active' && isExpired(row, now) ? 'expired' : row.state,
    expiresAt: row.expires_at ?? undefined,
    createdAt: row.created_at,
    createdBy: row.created_by,
    usedAt: row.used_at ?? undefined,
    labels: JSON.parse(row.labels) as Record<string, string>,
    annotations: JSON.parse(row.annotations) as Record<string, string>,
    revision: row.revision,
  };
}

export function usagesOf(row: Pick<TokenRow, 'usages'>): Token['usages'] {
  return JSON.parse(row.usages) as Token['usages'];
}

export function tokenFactsOf(row: TokenRow): TokenFacts {
  return {
    id: row.id,
    kind: row.kind,
    ...(row.node !== null && { node: row.node }),
    ...(row.cluster !== null && { cluster: row.cluster }),
    ...(row.member !== null && { member: row.member }),
    reusable: row.reusable === 1,
    state: row.state,
    claims: parseClaims(row.claims),
  };
}

/** A bootstrap token that is the API server's own: it counts as one that is bound to no node. */
export function foreignToken(id: string): TokenFacts {
  return { id, kind: 'unbound', reusable: true, state: 'active', claims: {}, foreign: true };
}

/** The user behind a token, as upstream's bootstrap token authenticator makes it: groups sorted, then system:authenticated. */
export function tokenIdentity(row: TokenRow): Identity {
  const extra = JSON.parse(row.groups) as string[];
  return {
    kind: 'token',
    username: `system:bootstrap:${row.id}`,
    uid: '',
    groups: [...[...new Set([bootstrappersGroup, ...extra])].sort(), 'system:authenticated'],
    extra: {},
    token: tokenFactsOf(row),
    roles: ['bootstrapper', 'authenticated'],
  };
}
