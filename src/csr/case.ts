import { RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import type { RequestRow } from '../store/queries/requests.js';
import { evaluate } from './evaluate.js';
import { gatherFacts } from './facts.js';
import { parseObject } from './object.js';
import { parseRequest } from './parse.js';
import type { Parts } from './parts.js';
import type { Plan } from './plan.js';
import { bannedSince, requesterOf } from './requester.js';
import type { CertificateRequest } from './types.js';

/** What is known about a stored request whose signer Rotunda serves, and what the rules say to it now. */
export type StoredCase = {
  readonly row: RequestRow;
  readonly request: CertificateRequest;
  readonly plan: Omit<Plan, 'prepared' | 'truncated'>;
  readonly identity: Identity;
};

/** The request as it is stored, with facts and rules as of now; undefined for a signer that Rotunda does not serve. */
export async function caseOf(parts: Parts, row: RequestRow): Promise<StoredCase | undefined> {
  const profile = parts.profiles.get(row.signer_name);
  if (profile === undefined) return undefined;
  const request = parseObject(row.object);
  const parsed = parseRequest(request.spec.request, 'upstream');
  if ('fault' in parsed)
    throw new RotundaError('internal', `the stored request ${row.name} does not parse: ${parsed.fault}`);
  const { csr } = parsed;
  const identity = await requesterOf(parts.tokens, row, request);
  const now = parts.clock.now().getTime();
  const gathered = await gatherFacts(parts.facts, { profile, csr, identity, now });
  const ban = bannedSince(row, (ring, serial) => parts.bans.isBanned(ring, serial, ''));
  const facts = ban === undefined ? gathered : { ...gathered, banned: ban };
  return {
    row,
    request,
    identity,
    plan: { profile, csr, facts, decision: evaluate(profile, csr, request.spec.usages ?? [], facts) },
  };
}
