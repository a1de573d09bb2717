import { RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import { findRequest, type RequestRow } from '../store/queries/requests.js';
import { evaluate, firstViolation } from './evaluate.js';
import { requestNotFound } from './errors.js';
import { gatherFacts } from './facts.js';
import { nextLook, withHold, withoutHold } from './hold.js';
import { issue } from './issue.js';
import { hasCondition } from './conditions.js';
import { parseObject, stateOf, textOf, withCondition } from './object.js';
import { parseRequest } from './parse.js';
import { type Parts, record, resource, service } from './parts.js';
import { intend, type Plan, planFor, prepare, refused } from './plan.js';
import { bannedSince, requesterOf } from './requester.js';
import { unsettledRequests, changeRequest } from './rows.js';
import { recordDecision } from './submit.js';
import { rfc3339 } from './time.js';
import type { CertificateRequest, Decision } from './types.js';

const pageSize = 200;
/** Longer than any replica takes between its two writes. */
const replicaPatienceMs = 60_000;

/** What is known about a stored request whose signer Rotunda serves. */
type Case = {
  readonly row: RequestRow;
  readonly request: CertificateRequest;
  readonly plan: Plan;
  readonly identity: Identity;
};

/** Looks at every request that may be decided or issued now. One that fails does not keep the others waiting. */
export async function reconsider(parts: Parts, scope: { node?: string; due?: boolean }): Promise<void> {
  const now = parts.clock.now().getTime();
  const query = {
    signers: [...parts.profiles.keys()],
    idleSince: parts.store.engine === 'sqlite' ? Number.MAX_SAFE_INTEGER : now - replicaPatienceMs,
    limit: pageSize,
    ...(scope.node === undefined ? {} : { node: scope.node }),
    ...(scope.due === true ? { dueAt: now } : {}),
  };
  for (let after = ''; ;) {
    const names = await unsettledRequests(parts.store.db, { ...query, after });
    for (const name of names) await lookAgain(parts, name);
    const last = names.at(-1);
    if (last === undefined || names.length < pageSize) return;
    after = last;
  }
}

async function lookAgain(parts: Parts, name: string): Promise<void> {
  try {
    const row = await findRequest(parts.store.db, name);
    if (row === undefined || parts.busy.has(row.uid)) return;
    if (row.state === 'approved') await issueApproved(parts, name, undefined);
    else if (row.state === 'pending') await decideAgain(parts, row);
  } catch (error) {
    if (error instanceof RotundaError && error.code === 'unavailable') throw error;
    parts.logger.error({ err: error, request: name }, 'a request could not be looked at again');
  }
}

/** The request as it is stored, with facts and rules as of now; undefined for a signer that Rotunda does not serve. */
async function caseOf(
  parts: Parts,
  row: RequestRow,
): Promise<(Omit<Case, 'plan'> & { plan: Omit<Plan, 'prepared' | 'truncated'> }) | undefined> {
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

/** Evaluates again, changes nothing. Throws 'not-found'. */
export async function explain(parts: Parts, name: string): Promise<Decision> {
  const row = await findRequest(parts.store.db, name);
  if (row === undefined) throw requestNotFound(name);
  const found = await caseOf(parts, row);
  if (found !== undefined) return found.plan.decision;
  const message = `this service does not serve the signer ${row.signer_name}`;
  return { outcome: 'hold', reason: 'UnknownSigner', message, rules: [] };
}

async function decideAgain(parts: Parts, row: RequestRow): Promise<void> {
  const found = await caseOf(parts, row);
  if (found === undefined) return;
  const { request, identity } = found;
  const { profile, csr, facts, decision } = found.plan;
  let plan: Plan = { ...found.plan, prepared: undefined, truncated: undefined };
  if (decision.outcome === 'approve') {
    plan =
      facts.banned === undefined
        ? await planFor(parts, { profile, csr, identity, request }, facts.now)
        : refused(plan, `banned: ${facts.banned}`);
  }
  parts.busy.add(row.uid);
  try {
    await settle(parts, { row, request, identity, plan });
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'forbidden') throw error;
    await settle(parts, { row, request, identity, plan: refused(plan, error.message) });
  } finally {
    parts.busy.delete(row.uid);
  }
}

async function settle(parts: Parts, found: Case): Promise<void> {
  const { row, request, plan, identity } = found;
  const { prepared, facts } = plan;
  if (prepared === undefined) return writeDecision(parts, found);
  await parts.store.write(async (tx) => {
    await intend(parts, tx, plan, prepared);
    await recordDecision(parts, tx, { identity, name: row.name, plan, request, now: facts.now });
  });
  const before = { request, text: row.object, issued: undefined, decision: plan.decision };
  await issue(
    parts,
    { request, revision: row.revision, prepared, plan, started: performance.now(), by: undefined },
    before,
  );
}

/** A denial, or a hold whose reason or time has changed. Somebody who changed the request in the meantime wins. */
async function writeDecision(parts: Parts, { row, request, plan, identity }: Case): Promise<void> {
  const { decision, profile, facts } = plan;
  const { now } = facts;
  const denied = decision.outcome === 'deny';
  if (!denied && decision.retryAt === undefined && row.held === 1) return;
  const at = denied || decision.retryAt === undefined ? undefined : nextLook(row.created_at, now);
  const next = denied
    ? withCondition(
        withoutHold(request),
        { type: 'Denied', reason: decision.reason, message: decision.message },
        rfc3339(now),
      )
    : withHold(request, decision, at);
  const written = await parts.store.write(async (tx) => {
    const revision = tx.nextRevision();
    const text = textOf(next, revision);
    const change = {
      name: row.name,
      revision,
      state: stateOf(next),
      held: denied ? 0 : 1,
      retry_at: at ?? null,
      serial: null,
      updated_at: now,
      object: text,
    };
    if (!(await changeRequest(tx.db, change, row.revision))) return false;
    await tx.publish({ revision, resource, name: row.name, type: 'MODIFIED', object: text, previous: undefined });
    if (denied || row.held === 0) await recordDecision(parts, tx, { identity, name: row.name, plan, request, now });
    return true;
  });
  if (written && (denied || row.held === 0))
    parts.metrics.requestDecided(profile.signerName, denied ? 'denied' : 'held');
}

/**
 * Issues what a person approved: hard rules and bans hold, fact rules are overridden and recorded. Never issues twice.
 */
export async function issueApproved(parts: Parts, name: string, by: Identity | undefined): Promise<void> {
  const row = await findRequest(parts.store.db, name);
  if (row?.state !== 'approved' || parts.busy.has(row.uid)) return;
  parts.busy.add(row.uid);
  try {
    const found = await caseOf(parts, row);
    if (found !== undefined) await issueOverridden(parts, found, by);
  } finally {
    parts.busy.delete(row.uid);
  }
}

async function issueOverridden(
  parts: Parts,
  found: NonNullable<Awaited<ReturnType<typeof caseOf>>>,
  by: Identity | undefined,
): Promise<void> {
  const { row, request } = found;
  const { facts, decision, profile } = found.plan;
  const violation =
    firstViolation(decision.rules) ??
    (facts.banned === undefined ? undefined : `the identity is banned: ${facts.banned}`);
  if (violation !== undefined) return fail(parts, row, request, violation);
  // The token is not claimed: what a person gives is not what the token entitles to.
  const { token: _token, ...identity } = facts.identity;
  try {
    const { prepared, truncated } = prepare(parts, found.plan, request, undefined);
    const plan: Plan = { ...found.plan, facts: { ...facts, identity }, prepared, truncated };
    await parts.store.write(async (tx) => {
      await intend(parts, tx, plan, prepared);
      await recordOverride(parts, { tx, name: row.name, plan, by });
    });
    const before = { request, text: row.object, issued: undefined, decision };
    const approver = by ?? { ...identity, username: service };
    await issue(
      parts,
      { request, revision: row.revision, prepared, plan, started: performance.now(), by: approver },
      before,
    );
  } catch (error) {
    if (!(error instanceof RotundaError) || (error.code !== 'invalid' && error.code !== 'forbidden')) throw error;
    parts.logger.warn(
      { err: error, request: row.name, profile: profile.signerName },
      'an approved request cannot be issued',
    );
    await fail(parts, row, request, error.message);
  }
}

/** Which fact rules the approval overrides, with the exact names. */
async function recordOverride(
  parts: Parts,
  { tx, name, plan, by }: { tx: Parameters<typeof record>[1]; name: string; plan: Plan; by: Identity | undefined },
): Promise<void> {
  const { csr, decision, facts, prepared, truncated } = plan;
  const overridden = decision.rules
    .filter((rule) => rule.kind === 'fact' && rule.outcome !== 'passed')
    .map((rule) => `${rule.rule}: ${rule.message}`);
  const names = csr.names.map((n) => `${n.kind}:${n.value}`);
  const detail = {
    serial: prepared?.serial,
    commonName: csr.commonName,
    organizations: csr.organizations,
    names,
    overridden,
    truncated,
  };
  await record(parts, tx, {
    action: 'request.issuing',
    actor: by?.username ?? service,
    name,
    outcome: 'approved',
    detail,
    at: facts.now,
  });
}

/** Upstream's signer says so in a condition of its own and does not try again. */
async function fail(parts: Parts, row: RequestRow, request: CertificateRequest, message: string): Promise<void> {
  const now = parts.clock.now().getTime();
  const failed = withCondition(request, { type: 'Failed', reason: 'SignerValidationFailure', message }, rfc3339(now));
  const written = await parts.store.write(async (tx) => {
    const revision = tx.nextRevision();
    const text = textOf(failed, revision);
    const change = {
      name: row.name,
      revision,
      state: stateOf(failed),
      held: 0,
      retry_at: null,
      serial: null,
      updated_at: now,
      object: text,
    };
    if (!(await changeRequest(tx.db, change, row.revision))) return false;
    await tx.publish({ revision, resource, name: row.name, type: 'MODIFIED', object: text, previous: undefined });
    const detail = { signerName: row.signer_name, message };
    await record(parts, tx, {
      action: 'request.failed',
      actor: service,
      name: row.name,
      outcome: 'failed',
      detail,
      at: now,
    });
    return true;
  });
  if (!written) return retryUnlessDecided(parts, row.name, request, message);
  parts.metrics.requestDecided(row.signer_name, 'failed');
}

/** Somebody edited labels or the like in the meantime: once more with what is stored now. */
async function retryUnlessDecided(
  parts: Parts,
  name: string,
  before: CertificateRequest,
  message: string,
): Promise<void> {
  const row = await findRequest(parts.store.db, name);
  if (row?.state !== 'approved' || row.uid !== before.metadata.uid) return;
  const request = parseObject(row.object);
  if (!hasCondition(request, 'Failed')) await fail(parts, row, request, message);
}
