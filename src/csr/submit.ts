import { RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import { admitNode, admitSubject } from './admission.js';
import { recordDecision } from './decision-record.js';
import { requestConflict, requestExists } from './errors.js';
import { withHold } from './hold.js';
import { issue, type Settled } from './issue.js';
import { creationFields } from './managed-fields.js';
import { generatedName, newUid } from './names.js';
import { newRequest, textOf, withCondition } from './object.js';
import { nodeOf } from './order.js';
import { parseRequest } from './parse.js';
import { type Parts, resource } from './parts.js';
import { intend, type Plan, planFor, refused } from './plan.js';
import { requesterText } from './requester.js';
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
  readonly dryRun: boolean;
};
/** A valid request that is not stored yet. `plan` is undefined for signers that Rotunda does not serve. */
type Candidate = {
  readonly request: CertificateRequest;
  readonly csr: ReadCsr;
  readonly identity: Identity;
  readonly plan: Plan | undefined;
};
type Stored = {
  readonly candidate: Candidate;
  readonly request: CertificateRequest;
  readonly text: string;
  readonly revision: number;
};

/** Validates, decides, stores in one write, and goes on to sign behind the answer. */
export async function submit(
  parts: Parts,
  identity: Identity,
  draft: RequestDraft,
  options: { dryRun?: boolean } = {},
): Promise<Submitted> {
  const started = performance.now();
  const context: Draft = { draft, identity, now: parts.clock.now().getTime(), dryRun: options.dryRun === true };
  const stored = await storeNamed(parts, context);
  const { plan } = stored.candidate;
  const warnings = plan === undefined ? [] : warningsOf(parts, plan, stored.request);
  const settled: Settled = { request: stored.request, text: stored.text, issued: undefined, decision: plan?.decision };
  if (context.dryRun || plan === undefined) return { ...stored, warnings, settled: Promise.resolve(settled) };
  const { prepared, decision } = plan;
  if (prepared === undefined) {
    parts.metrics.requestDecided(plan.profile.signerName, decision.outcome === 'deny' ? 'denied' : 'held');
    return { request: stored.request, text: stored.text, warnings, settled: Promise.resolve(settled) };
  }
  const work = { request: stored.request, revision: stored.revision, prepared, plan, started, by: undefined };
  return { request: stored.request, text: stored.text, warnings, settled: issue(parts, work, settled) };
}

/** Tries eight names where the server makes them, as upstream does. */
async function storeNamed(parts: Parts, context: Draft): Promise<Stored> {
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

async function storeOnce(parts: Parts, context: Draft, name: string): Promise<Stored> {
  let candidate = await candidateOf(parts, context, name);
  if (context.dryRun) return dryStore(parts, candidate);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store(parts, candidate, context.now);
    } catch (error) {
      const { plan } = candidate;
      if (!(error instanceof RotundaError) || plan?.prepared === undefined) throw error;
      if (error.code === 'forbidden') candidate = { ...candidate, plan: refused(plan, error.message) };
      // The ring signs with another key by now.
      else if (error.code === 'conflict' && attempt < mostSigners) candidate = await candidateOf(parts, context, name);
      else throw error;
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
  const created = rfc3339(now);
  const request = newRequest(draft, identity, { name, uid: newUid(parts.random), created });
  const managed = creationFields(request.metadata, draft.fieldManager, created);
  if (managed !== undefined) request.metadata.managedFields ??= [managed];
  const profile = parts.profiles.get(signerName);
  const plan = profile === undefined ? undefined : await planFor(parts, { profile, csr, identity, request }, now);
  return { request, csr, identity, plan };
}

async function dryStore(parts: Parts, candidate: Candidate): Promise<Stored> {
  const { request } = candidate;
  if ((await findRequestObject(parts.store.db, request.metadata.name)) !== undefined)
    throw requestExists(request.metadata.name, false);
  const { resourceVersion: _none, ...metadata } = request.metadata;
  const text = JSON.stringify({ ...request, metadata });
  return { candidate, request: { ...request, metadata: { ...metadata, resourceVersion: '' } }, text, revision: 0 };
}

/** The one write before the answer: the request, its change, the ledger, the claim, the audit event. */
async function store(parts: Parts, candidate: Candidate, now: number): Promise<Stored> {
  const { plan, identity } = candidate;
  const request = decided(candidate, now);
  const { uid } = request.metadata;
  if (plan?.prepared !== undefined) parts.busy.add(uid);
  try {
    return await parts.store.write(async (tx) => {
      const revision = tx.nextRevision();
      const text = textOf(request, revision);
      const { name } = request.metadata;
      if (!(await insertRequest(tx.db, rowOf(candidate, { request, text, revision, now }))))
        throw requestExists(name, false);
      if (plan?.prepared !== undefined) await intend(parts, tx, plan, plan.prepared);
      await tx.publish({ revision, resource, name, type: 'ADDED', object: text, previous: undefined });
      await recordDecision(parts, tx, { identity, name, plan, request, now });
      return { candidate, request, text, revision };
    });
  } catch (error) {
    parts.busy.delete(uid);
    throw translated(error, request.metadata.name);
  }
}

/** A request that is lost to a race over the ring's signer must not read as a conflict about the object. */
function translated(error: unknown, name: string): unknown {
  return error instanceof RotundaError && error.code === 'conflict' && error.details.object === undefined
    ? requestConflict(name, error.message)
    : error;
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
  { csr, identity, plan }: Candidate,
  { request, text, revision, now }: { request: CertificateRequest; text: string; revision: number; now: number },
): RequestRow {
  const { decision } = plan ?? {};
  return {
    name: request.metadata.name,
    uid: request.metadata.uid,
    revision,
    signer_name: request.spec.signerName,
    username: identity.username,
    state: decision?.outcome === 'deny' ? 'denied' : 'pending',
    held: decision?.outcome === 'hold' ? 1 : 0,
    retry_at: decision?.outcome === 'hold' ? (decision.retryAt ?? null) : null,
    node: nodeOf(plan?.profile, csr) ?? null,
    key_id: csr.key.keyId,
    serial: null,
    token_id: identity.token?.id ?? null,
    requester: requesterText(identity),
    created_at: now,
    updated_at: now,
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
