import type { PreparedCertificate } from '../ca/types.js';
import type { ReadCsr } from '../ca/x509/types.js';
import { RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import type { WriteTx } from '../store/types.js';
import { evaluate } from './evaluate.js';
import { gatherFacts } from './facts.js';
import { statedBundle } from './join-floor.js';
import { heldJoin, isJoin, joinerRings, refuseHeldJoin } from './joining.js';
import { validityOf } from './lifetime.js';
import { leafOrder, nodeOf } from './order.js';
import type { Parts } from './parts.js';
import { isRequesterBanned } from './requester.js';
import { callingNode } from './rules/rule.js';
import type { CertificateRequest, Decision, Profile, RequestFacts } from './types.js';

/** What shall become of a request, and for an approved one its certificate, ready to be signed. */
export type Plan = {
  readonly profile: Profile;
  readonly csr: ReadCsr;
  readonly facts: RequestFacts;
  readonly decision: Decision;
  readonly truncated: string | undefined;
  readonly prepared: PreparedCertificate | undefined;
};

export type Asked = {
  readonly profile: Profile;
  readonly csr: ReadCsr;
  readonly identity: Identity;
  readonly request: CertificateRequest;
};

/** Gathers facts, runs the rules, and prepares the certificate where they approve. */
export async function planFor(parts: Parts, asked: Asked, now: number): Promise<Plan> {
  const { profile, csr, identity, request } = asked;
  const facts = await gatherFacts(parts.facts, { profile, csr, identity, now });
  const evaluated = evaluate(profile, csr, request.spec.usages ?? [], facts);
  const decision = heldJoin(parts, asked, evaluated, now) ?? evaluated;
  const plan = { profile, csr, facts, decision, truncated: undefined, prepared: undefined };
  return decision.outcome === 'approve' ? preparedPlan(parts, plan, asked) : plan;
}

/** The plan with a certificate prepared; held when the ring cannot give it now (a lint or its issuer's lifetime). */
function preparedPlan(parts: Parts, plan: Plan, asked: Asked): Plan {
  const { decision } = plan;
  try {
    const { prepared, truncated } = prepare(parts, plan, asked.request, tokenIdOf(asked.identity));
    const message = truncated === undefined ? decision.message : `${decision.message} ${truncated}`;
    return { ...plan, prepared, truncated, decision: { ...decision, message } };
  } catch (error) {
    // The ring is frozen, or its authority ends too soon.
    if (!(error instanceof RotundaError) || !['invalid', 'unavailable'].includes(error.code)) throw error;
    parts.logger.error({ err: error, profile: plan.profile.signerName }, 'an approved certificate cannot be prepared');
    return {
      ...plan,
      decision: {
        ...decision,
        outcome: 'hold',
        reason: 'IssuerNotReady',
        message: error.message,
        retryAt: error.code === 'unavailable' ? plan.facts.now + 60_000 : plan.facts.now,
      },
    };
  }
}

/** The token that will be claimed: one of the API server's own is not this service's to use up. */
function tokenIdOf({ token }: Identity): string | undefined {
  return token?.foreign === true ? undefined : token?.id;
}

/** Builds and lints the certificate. `tokenId` only where the token will be claimed. Throws what `Issuing.prepare` throws. */
export function prepare(
  parts: Parts,
  plan: Pick<Plan, 'profile' | 'csr' | 'facts'>,
  request: CertificateRequest,
  tokenId: string | undefined,
): { prepared: PreparedCertificate; truncated: string | undefined } {
  const { profile, csr, facts } = plan;
  const asked = request.spec.expirationSeconds;
  const validity = validityOf(profile, asked, facts.now);
  const renewal = parts.renewals?.choose(profile, validity, asked !== undefined);
  const order = leafOrder({ profile, csr, request, facts, validity: { ...validity, ...renewal }, tokenId });
  return { prepared: parts.ca.issuing.prepare(order), truncated: validity.truncated };
}

/**
 * The write that must be durable before the signature: the claim on what entitles to it, and the ledger. Throws
 * 'forbidden' when the claim is refused or the caller banned by now, 'conflict' when the ring signs with another key by now.
 */
export async function intend(
  parts: Parts,
  tx: WriteTx,
  {
    plan,
    prepared,
    request,
  }: { readonly plan: Plan; readonly prepared: PreparedCertificate; readonly request: CertificateRequest },
): Promise<void> {
  const { profile, csr, facts } = plan;
  const { serial } = prepared;
  if (await isRequesterBanned(tx, facts.identity))
    throw new RotundaError('forbidden', `${facts.identity.username} has been banned`);
  const node = profile.approval === 'node-client' ? nodeOf(profile, csr) : undefined;
  const { token } = facts.identity;
  if (token !== undefined && token.foreign !== true)
    await parts.tokens.claim(tx, { tokenId: token.id, profile: profile.signerName, serial, now: facts.now });
  if (node !== undefined && token?.kind !== 'node') {
    const byUnbound = token?.kind === 'unbound' && facts.nodePolicy === 'enrolled';
    if (byUnbound) await parts.nodes.claim(tx, { node, profile: profile.signerName, serial, now: facts.now });
    else await parts.nodes.issued(tx, { node, serial, now: facts.now, requester: facts.identity.username });
  }
  await refuseHeldJoin(parts, tx, plan, request);
  await parts.ca.issuing.intend(tx, prepared);
  await registerHolder(parts, tx, { plan, prepared, request });
}

/** Who is given a certificate verifies others from then on: gates have to know of it before it can. */
async function registerHolder(
  parts: Parts,
  tx: WriteTx,
  {
    plan,
    prepared,
    request,
  }: { readonly plan: Plan; readonly prepared: PreparedCertificate; readonly request: CertificateRequest },
): Promise<void> {
  const machine = plan.facts.node?.name ?? plan.facts.identity.token?.node;
  const stated = statedBundle(request);
  await parts.consumers?.registerIssued(tx, prepared.order, {
    joined: comesAnew(plan),
    joinerIn: joinerRings(parts, plan, request),
    ...(machine === undefined ? {} : { machine }),
    ...(stated === undefined ? {} : { stated: { ring: plan.profile.ring, ...stated } }),
  });
}

/**
 * Whether what was known of the holder says nothing about who is given this: a join, unless a machine asks with its own
 * certificate for what else runs on it.
 */
function comesAnew({ profile, csr, facts: { identity } }: Plan): boolean {
  if (!isJoin({ profile, csr, identity })) return false;
  if (nodeOf(profile, csr) !== undefined || profile.approval === 'etcd-member') return true;
  return callingNode(identity) === undefined && identity.member === undefined;
}

/** The same plan, denied because a claim was refused in the transaction that would have used it. */
export function refused(plan: Plan, message: string): Plan {
  return {
    ...plan,
    prepared: undefined,
    truncated: undefined,
    decision: { ...plan.decision, outcome: 'deny', reason: 'NotEntitled', message },
  };
}
