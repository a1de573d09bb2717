import type { Audit } from '../audit/types.js';
import { RotundaError } from '../errors.js';
import { advanceClaims, parseClaims, useClaim } from '../fleet/claims.js';
import type { Nodes } from '../fleet/types.js';
import { ringOfSerial } from '../store/queries/bans.js';
import { endToken, findToken, type TokenRow, updateToken, updateTokenClaims } from '../store/queries/tokens.js';
import type { WriteTx } from '../store/types.js';
import { banSerial } from './ban-certificates.js';
import { isExpired } from './token-records.js';
import type { Bans, Tokens } from './types.js';

type Options = { readonly audit: Audit; readonly bans: Bans; readonly nodes: Nodes };

export type TokenClaim = Parameters<Tokens['claim']>[1];
/** A certificate that a token was given authenticated for the first time. */
export type TokenUse = { readonly tokenId: string; readonly serial: string; readonly now: number };

const service = 'system:rotunda';

/** Notes what the token is given. Unbound tokens only have to be alive: for them the node keeps count. */
export async function claimToken(options: Options, tx: WriteTx, claim: TokenClaim): Promise<void> {
  const { tokenId, profile, serial, now } = claim;
  const row = await findToken(tx.db, tokenId);
  requireLive(row, tokenId, now);
  if (row.kind === 'unbound') return;
  const claims = parseClaims(row.claims);
  const next = advanceClaims(claims, { profile, serial, subject: `token ${tokenId}`, reusable: row.reusable === 1 });
  await updateTokenClaims(tx.db, tokenId, JSON.stringify(next.claims));
  if (next.replaced !== undefined) await banReplaced(options, tx, claim, next.replaced);
  if (row.kind === 'node' && row.node !== null) await options.nodes.issued(tx, { node: row.node, serial, now });
}

function requireLive(row: TokenRow | undefined, id: string, now: number): asserts row is TokenRow {
  const problem =
    row === undefined
      ? 'does not exist'
      : isExpired(row, now)
        ? 'has expired'
        : row.state === 'active'
          ? undefined
          : deadWords[row.state];
  if (problem !== undefined) throw new RotundaError('forbidden', `token ${id} ${problem}`);
}

const deadWords = { used: 'is used up', revoked: 'is revoked' } as const;

async function banReplaced({ audit, bans }: Options, tx: WriteTx, claim: TokenClaim, replaced: string): Promise<void> {
  const { tokenId, profile, serial, now } = claim;
  // The inventory may not have it yet: it could be in the middle of being signed.
  const ring = await ringOfSerial(tx.db, replaced);
  if (ring === undefined)
    throw new RotundaError('internal', `certificate ${replaced}, claimed by token ${tokenId}, is not in the ledger`);
  await banSerial(tx, bans, { ring, serial: replaced }, { reason: 'superseded', actor: service, now });
  await audit.record(tx, {
    action: 'token.certificate-replaced',
    actor: service,
    resource: 'tokens',
    name: tokenId,
    outcome: 'ok',
    detail: { profile, replaced, serial },
    at: now,
  });
}

/**
 * Uses up what was claimed: a node's token as a whole, one that covers several profiles profile by profile. Reusable
 * tokens only note that the certificate is in use, so that the next one does not ban it. Tells whether a node's token was
 * used up by this.
 */
export async function useToken({ audit }: Options, tx: WriteTx, use: TokenUse): Promise<boolean> {
  const row = await findToken(tx.db, use.tokenId);
  const claims = row === undefined ? undefined : useClaim(parseClaims(row.claims), use.serial);
  if (row === undefined || claims === undefined) return false;
  const done = row.kind === 'node' && row.reusable === 0 && row.state === 'active';
  const used = { claims: JSON.stringify(claims), used_at: row.used_at ?? use.now };
  if (done) await endToken(tx, row, { ...used, state: 'used' });
  else await updateToken(tx.db, row.id, used);
  await audit.record(tx, {
    action: 'token.used',
    actor: service,
    resource: 'tokens',
    name: row.id,
    outcome: 'ok',
    detail: { serial: use.serial },
    at: use.now,
  });
  return done;
}
