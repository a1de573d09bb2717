import { RotundaError } from '../errors.js';
import {
  changeRequest,
  findRequest,
  type RequestRow,
  setRequester,
  takeRequest,
  unsettledRequests,
} from '../store/queries/requests.js';
import { type StoredCase, caseOf } from './case.js';
import { recordDecision } from './decision-record.js';
import { holdReason, nextLook, withHold, withoutHold } from './hold.js';
import { issue } from './issue.js';
import { requireStoredFloor } from './join-floor.js';
import { stateOf, textOf, withCondition } from './object.js';
import { issueApproved, wasEdited } from './override.js';
import { type Parts, resource } from './parts.js';
import { intend, type Plan, planFor, refused } from './plan.js';
import { seenText } from './requester.js';
import { rfc3339 } from './time.js';

/** A stored request and what shall become of it now. */
type Case = Omit<StoredCase, 'plan'> & { readonly plan: Plan };

const pageSize = 200;
/** Longer than any replica takes between its two writes. */
const replicaPatienceMs = 60_000;

/** Looks at every request that may be decided or issued now. One that fails does not keep the others waiting. */
export async function reconsider(
  parts: Parts,
  scope: { node?: string; nodes?: readonly string[]; due?: boolean },
): Promise<void> {
  const now = parts.clock.now().getTime();
  const query = {
    signers: [...parts.profiles.keys()],
    idleSince: parts.store.engine === 'sqlite' ? Number.MAX_SAFE_INTEGER : now - replicaPatienceMs,
    limit: pageSize,
    ...nodesOf(scope),
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

function nodesOf(scope: { node?: string; nodes?: readonly string[] }): { nodes?: readonly string[] } {
  const { node, nodes } = scope;
  if (nodes !== undefined) return { nodes };
  return node === undefined ? {} : { nodes: [node] };
}

/** Decides or issues one request where that can be done by now. What goes wrong is in the log. */
export async function lookAgain(parts: Parts, name: string): Promise<void> {
  try {
    const row = await findRequest(parts.store.db, name);
    if (row === undefined) return;
    if (parts.busy.has(row.uid)) {
      // Whoever is at it may have read the facts before they changed.
      parts.again.add(row.uid);
      return;
    }
    if (row.state === 'approved') await issueApproved(parts, name, undefined);
    else if (row.state === 'pending') await decideAgain(parts, row);
  } catch (error) {
    if (error instanceof RotundaError && error.code === 'unavailable') throw error;
    parts.logger.error({ err: error, request: name }, 'a request could not be looked at again');
  }
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
        ? await plannedAgain(parts, { profile, csr, identity, request }, facts.now)
        : refused(plan, `banned: ${facts.banned}`);
  }
  // Somebody may have begun while this looked at the facts.
  if (parts.busy.has(row.uid)) {
    parts.again.add(row.uid);
    return;
  }
  parts.busy.add(row.uid);
  let taken: boolean;
  let asked: boolean;
  try {
    taken = await settle(parts, { row, request, identity, plan });
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'forbidden') throw error;
    taken = await settle(parts, { row, request, identity, plan: refused(plan, error.message) });
  } finally {
    parts.busy.delete(row.uid);
    asked = parts.again.delete(row.uid);
  }
  if (asked || (!taken && (await wasEdited(parts, row)))) await lookAgain(parts, row.name);
}

/** What it says that its machine holds may have become too old while it waited; it never becomes newer. */
async function plannedAgain(parts: Parts, asked: Parameters<typeof planFor>[1], now: number): Promise<Plan> {
  const plan = await planFor(parts, asked, now);
  try {
    await requireStoredFloor(parts, asked.profile, asked.request);
    return plan;
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'stale-bundle') throw error;
    return refused(plan, error.message);
  }
}

/** Tells whether this was the one to do it. */
async function settle(parts: Parts, found: Case): Promise<boolean> {
  const { row, request, plan, identity } = found;
  const { prepared, facts } = plan;
  if (prepared === undefined) {
    await writeDecision(parts, found);
    return true;
  }
  const mine = await parts.store.write(async (tx) => {
    if (!(await takeRequest(tx.db, row, facts.now))) return false;
    await intend(parts, tx, { plan, prepared, request });
    await setRequester(tx.db, { name: row.name, requester: seenText(row, plan) });
    await recordDecision(parts, tx, { identity, name: row.name, plan, request, now: facts.now });
    return true;
  });
  if (!mine) return false;
  const before = { request, text: row.object, issued: undefined, decision: plan.decision };
  await issue(
    parts,
    { request, revision: row.revision, prepared, plan, started: performance.now(), by: undefined },
    before,
  );
  return true;
}

/** A denial, or a hold whose reason or time has changed. Somebody who changed the request in the meantime wins. */
async function writeDecision(parts: Parts, { row, request, plan, identity }: Case): Promise<void> {
  const { decision, profile, facts } = plan;
  const { now } = facts;
  const denied = decision.outcome === 'deny';
  if (!denied && decision.retryAt === undefined && row.held === 1) return;
  // The same reason, and its time has not come: nothing that anybody wants to hear of.
  const told = request.metadata.annotations?.[holdReason] === decision.message;
  if (!denied && told && row.retry_at !== null && row.retry_at > now) return;
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
    await setRequester(tx.db, { name: row.name, requester: seenText(row, plan) });
    await tx.publish({ revision, resource, name: row.name, type: 'MODIFIED', object: text, previous: undefined });
    if (denied || row.held === 0) await recordDecision(parts, tx, { identity, name: row.name, plan, request, now });
    return true;
  });
  if (written && (denied || row.held === 0))
    parts.metrics.requestDecided(profile.signerName, denied ? 'denied' : 'held');
}
