import { RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import { changeRequest, findRequest, type RequestRow, takeRequest } from '../store/queries/requests.js';
import { type StoredCase, caseOf } from './case.js';
import { hasCondition } from './conditions.js';
import { firstViolation } from './evaluate.js';
import { issue } from './issue.js';
import { requireStoredFloor } from './join-floor.js';
import { parseObject, stateOf, textOf, withCondition } from './object.js';
import { type Parts, record, resource, service } from './parts.js';
import { intend, type Plan, prepare } from './plan.js';
import { rfc3339 } from './time.js';
import type { CertificateRequest } from './types.js';

/**
 * Issues what a person approved: hard rules and bans hold, fact rules are overridden and recorded. Never issues twice.
 */
export async function issueApproved(parts: Parts, name: string, by: Identity | undefined): Promise<void> {
  const row = await findRequest(parts.store.db, name);
  if (row?.state !== 'approved' || parts.busy.has(row.uid)) return;
  parts.busy.add(row.uid);
  let taken = true;
  try {
    const found = await caseOf(parts, row);
    if (found !== undefined) taken = await issueOverridden(parts, found, by);
  } finally {
    parts.busy.delete(row.uid);
    parts.again.delete(row.uid);
  }
  if (!taken && (await wasEdited(parts, row))) await issueApproved(parts, name, by);
}

/** Whether a request that could not be taken was edited since; otherwise somebody else is issuing it. */
export async function wasEdited({ store }: Parts, { name, revision }: RequestRow): Promise<boolean> {
  const now = await findRequest(store.db, name);
  return now !== undefined && now.revision !== revision;
}

const refusals: readonly string[] = ['invalid', 'forbidden', 'stale-bundle'];

/** Tells whether this was the one to do it. */
async function issueOverridden(parts: Parts, found: StoredCase, by: Identity | undefined): Promise<boolean> {
  const { row, request } = found;
  const { facts, decision, profile } = found.plan;
  const violation =
    firstViolation(decision.rules) ??
    (facts.banned === undefined ? undefined : `the identity is banned: ${facts.banned}`);
  if (violation !== undefined) {
    await fail(parts, row, request, violation);
    return true;
  }
  // The token is not claimed: what a person gives is not what the token entitles to.
  const { token: _token, ...identity } = facts.identity;
  try {
    const { prepared, truncated } = prepare(parts, found.plan, request, undefined);
    await requireStoredFloor(parts, profile, request);
    const plan: Plan = { ...found.plan, facts: { ...facts, identity }, prepared, truncated };
    const mine = await parts.store.write(async (tx) => {
      if (!(await takeRequest(tx.db, row, facts.now))) return false;
      await intend(parts, tx, { plan, prepared, request });
      await recordOverride(parts, { tx, name: row.name, plan, by });
      return true;
    });
    if (!mine) return false;
    const before = { request, text: row.object, issued: undefined, decision };
    const approver = by ?? { ...identity, username: service };
    await issue(
      parts,
      { request, revision: row.revision, prepared, plan, started: performance.now(), by: approver },
      before,
    );
  } catch (error) {
    if (!(error instanceof RotundaError) || !refusals.includes(error.code)) throw error;
    parts.logger.warn(
      { err: error, request: row.name, profile: profile.signerName },
      'an approved request cannot be issued',
    );
    await fail(parts, row, request, error.message);
  }
  return true;
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
