import { RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import { admitGraced, admitNode, admitSubject } from './admission.js';
import { recordDecision } from './decision-record.js';
import { requestConflict, requestExists } from './errors.js';
import { withHold } from './hold.js';
import { measureIssued, type Settled } from './issue.js';
import { requireFloor, statedIn, withStatement } from './join-floor.js';
import { creationFields } from './managed-fields.js';
import { generatedName, newUid } from './names.js';
import { newRequest, textOf, withCondition } from './object.js';
import { nodeOf } from './order.js';
import { parseRequest } from './parse.js';
import { type Parts, resource } from './parts.js';
import { type Plan, planFor, refused } from './plan.js';
import { admitIssued, admitUnissued, supersede } from './repeats.js';
import { requesterText } from './requester.js';
import { cleanAfterNow } from './retention.js';
import { type Approved, submitApproved } from './submit-approved.js';
import { rfc3339 } from './time.js';
import type { CertificateRequest, RequestDraft, Submitted } from './types.js';
import { validateCreate } from './validate.js';
import type { ReadCsr } from '../ca/x509/types.js';
import { findRequestObject, insertRequest, type RequestRow } from '../store/queries/requests.js';

const mostNames = 8;
const mostSigners = 3;

type Draft = {
  readonly draft: RequestDraft;
  readonly identity: Identity;
  readonly now: number;
  /** Of performance.now(). */
  readonly started: number;
  readonly dryRun: boolean;
};
/** A valid request that is not stored yet. `plan` is undefined for signers that Rotunda does not serve. */
type Candidate = {
  readonly request: CertificateRequest;
  readonly csr: ReadCsr;
  readonly identity: Identity;
  readonly plan: Plan | undefined;
};
/** Validates, decides and stores; what its rules approve at once is signed on the way. */
export async function submit(
  parts: Parts,
  identity: Identity,
  draft: RequestDraft,
  options: { dryRun?: boolean } = {},
): Promise<Submitted> {
  const now = parts.clock.now().getTime();
  return storeNamed(parts, {
    draft: withStatement(draft),
    identity,
    now,
    started: performance.now(),
    dryRun: options.dryRun === true,
  });
}

/** Tries eight names where the server makes them, as upstream does. */
async function storeNamed(parts: Parts, context: Draft): Promise<Submitted> {
  const { name, generateName } = context.draft.metadata;
  if (name !== undefined && name !== '') return storeOnce(parts, context, name);
  if (generateName === undefined || generateName === '') return storeOnce(parts, context, '');
  for (let attempt = 1; ; attempt += 1) {
    const made = generatedName(generateName, parts.random);
    try {
      return await storeOnce(parts, context, made);
    } catch (error) {
      if (!(error instanceof RotundaError) || error.code !== 'already-exists') throw error;
      if (attempt === mostNames) throw requestExists(made, true);
    }
  }
}

async function storeOnce(parts: Parts, context: Draft, name: string): Promise<Submitted> {
  let candidate = await candidateOf(parts, context, name);
  if (context.dryRun) return dryStore(parts, candidate);
  for (let attempt = 1; ; attempt += 1) {
    const { plan } = candidate;
    try {
      return await (plan?.prepared === undefined
        ? storeUnissued(parts, candidate, context.now)
        : storeIssued(parts, candidate, { plan, prepared: plan.prepared, started: context.started }));
    } catch (error) {
      if (!(error instanceof RotundaError) || plan?.prepared === undefined) throw error;
      if (error.code === 'forbidden') candidate = { ...candidate, plan: refused(plan, error.message) };
      // The ring has changed by now: its signer, or what it asks of who joins.
      else if (error.code === 'conflict' && attempt < mostSigners) {
        await parts.ca.reload();
        candidate = await candidateOf(parts, context, name);
      }
      // Lost to a race over the ring's signer, which must not read as a conflict about the object.
      else throw error.code === 'conflict' ? requestConflict(name, error.message) : error;
    }
  }
}

/** Upstream's order: a node's restriction, validation, the subject's restriction; then facts and rules. */
async function candidateOf(parts: Parts, { draft, identity, now }: Draft, name: string): Promise<Candidate> {
  const { spec } = draft;
  if (draft.metadata.resourceVersion) {
    throw new RotundaError('bad-request', 'resourceVersion should not be set on objects to be created');
  }
  const parsed = parseRequest(spec.request, draft.pem);
  const signerName = spec.signerName ?? '';
  admitNode(identity, name, signerName, parsed);
  validateCreate({ ...draft.metadata, name }, spec, parsed);
  // Validation has thrown for a request that does not parse.
  if ('fault' in parsed) throw new RotundaError('invalid', parsed.fault);
  const { csr } = parsed;
  admitSubject(name, signerName, csr.organizations);
  const profile = parts.profiles.get(signerName);
  admitGraced(identity, name, profile, csr.key.keyId);
  const created = rfc3339(now);
  const request = newRequest(draft, identity, { name, uid: newUid(parts.random), created });
  const managed = creationFields(request.metadata, draft.fieldManager, created);
  if (managed !== undefined) request.metadata.managedFields ??= [managed];
  const plan = profile === undefined ? undefined : await planFor(parts, { profile, csr, identity, request }, now);
  if (profile !== undefined) await requireFloor(parts, profile, draft.bundle ?? statedIn(request));
  return { request, csr, identity, plan };
}

async function dryStore(parts: Parts, candidate: Candidate): Promise<Submitted> {
  const { request, plan } = candidate;
  await refuseTaken(parts, request.metadata.name);
  const { resourceVersion: _none, ...metadata } = request.metadata;
  const text = JSON.stringify({ ...request, metadata });
  const shown = { ...request, metadata: { ...metadata, resourceVersion: '' } };
  return submitted(parts, candidate, { request: shown, text }, { decision: plan?.decision });
}

async function refuseTaken(parts: Parts, name: string): Promise<void> {
  if ((await findRequestObject(parts.store.db, name)) !== undefined) throw requestExists(name, false);
}

/** One write for a request that waits or is denied: the request, its change, the audit event. */
async function storeUnissued(parts: Parts, candidate: Candidate, now: number): Promise<Submitted> {
  const { plan, identity } = candidate;
  await admitUnissued(parts, candidate);
  const request = decided(candidate, now);
  const { name } = request.metadata;
  const text = await parts.store.write(async (tx) => {
    const revision = tx.nextRevision();
    const object = textOf(request, revision);
    const state = plan?.decision.outcome === 'deny' ? 'denied' : 'pending';
    const row = rowOf(parts, candidate, state, { text: object, revision }, now);
    if (!(await insertRequest(tx.db, row))) throw requestExists(name, false);
    await tx.publish({ revision, resource, name, type: 'ADDED', object, previous: undefined });
    await recordDecision(parts, tx, { identity, name, plan, request, now });
    await supersede(parts, tx, row);
    return object;
  });
  if (plan !== undefined)
    parts.metrics.requestDecided(plan.profile.signerName, plan.decision.outcome === 'deny' ? 'denied' : 'held');
  return submitted(parts, candidate, { request, text }, { decision: plan?.decision });
}

/** A certificate at once. A name that is taken is told before anything is claimed for it. */
async function storeIssued(
  parts: Parts,
  candidate: Candidate,
  approved: Pick<Approved, 'plan' | 'prepared' | 'started'>,
): Promise<Submitted> {
  const { request, identity } = candidate;
  const { name, generateName } = request.metadata;
  admitIssued(parts, identity);
  // A client that asks once more before the answer would have the first one's certificate banned as replaced.
  if (parts.arriving.has(name)) throw requestExists(name, false);
  parts.arriving.add(name);
  try {
    if (generateName === undefined) await refuseTaken(parts, name);
    return await storeApproved(parts, candidate, approved);
  } finally {
    parts.arriving.delete(name);
  }
}

async function storeApproved(
  parts: Parts,
  candidate: Candidate,
  approved: Pick<Approved, 'plan' | 'prepared' | 'started'>,
): Promise<Submitted> {
  const { request } = candidate;
  const row: Approved['row'] = (state, object) => rowOf(parts, candidate, state, object, approved.plan.facts.now);
  const answered = await submitApproved(parts, { ...approved, request, row });
  const { issued, final } = answered;
  if (issued !== undefined) measureIssued(parts, { ...approved, by: undefined });
  return submitted(parts, candidate, answered, { ...final, issued, decision: approved.plan.decision });
}

function submitted(
  parts: Parts,
  { plan }: Candidate,
  { request, text }: { readonly request: CertificateRequest; readonly text: string },
  outcome: Pick<Settled, 'decision'> & Partial<Settled>,
): Submitted {
  const warnings = plan === undefined ? [] : warningsOf(parts, plan, request);
  const settled = Promise.resolve({ request, text, issued: undefined, ...outcome });
  return { request, text, warnings, settled };
}

/** The object as first stored: denied or held at once, pending while its certificate is being signed. */
function decided({ request, plan }: Candidate, now: number): CertificateRequest {
  if (plan === undefined) return request;
  const { decision } = plan;
  if (decision.outcome === 'deny') {
    return withCondition(request, { type: 'Denied', reason: decision.reason, message: decision.message }, rfc3339(now));
  }
  return decision.outcome === 'hold' ? withHold(request, decision, decision.retryAt) : request;
}

function rowOf(
  { retention }: Parts,
  { csr, identity, plan, request }: Candidate,
  state: RequestRow['state'],
  { text, revision }: { readonly text: string; readonly revision: number },
  now: number,
): RequestRow {
  const { decision } = plan ?? {};
  const held = state === 'pending' && decision?.outcome === 'hold';
  const issued = state === 'issued' ? plan?.prepared : undefined;
  return {
    name: request.metadata.name,
    uid: request.metadata.uid,
    revision,
    signer_name: request.spec.signerName,
    username: identity.username,
    state,
    held: held ? 1 : 0,
    retry_at: held ? (decision.retryAt ?? null) : null,
    node: nodeOf(plan?.profile, csr) ?? null,
    key_id: csr.key.keyId,
    serial: issued?.serial ?? null,
    token_id: identity.token?.id ?? null,
    requester: requesterText(identity, plan),
    created_at: now,
    updated_at: now,
    clean_after: cleanAfterNow(retention, state, now, issued?.order.notAfter),
    object: text,
  };
}

function warningsOf(parts: Parts, plan: Plan, { metadata, spec }: CertificateRequest): string[] {
  const seconds = spec.expirationSeconds;
  const longest = plan.profile.lifetime.longest / 1000;
  if (seconds === undefined || seconds <= longest) return [];
  parts.logger.warn(
    { request: metadata.name, asked: seconds, longest },
    'a request asks for more than its profile gives',
  );
  return [
    `spec.expirationSeconds: ${spec.signerName} gives at most ${String(longest)} seconds, not ${String(seconds)}`,
  ];
}
