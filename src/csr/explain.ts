import { authorize } from '../identity/authorize.js';
import type { Identity } from '../identity/types.js';
import { RotundaError } from '../errors.js';
import { findRequest, type RequestRow } from '../store/queries/requests.js';
import { admitNode, admitSubject } from './admission.js';
import { caseOf } from './case.js';
import { requestNotFound } from './errors.js';
import { evaluate } from './evaluate.js';
import { gatherFacts } from './facts.js';
import { newRequest, parseObject, stateOf } from './object.js';
import { parseRequest } from './parse.js';
import type { Parts } from './parts.js';
import { planFor } from './plan.js';
import { decisionThen } from './replay-verdict.js';
import { pastOf } from './past.js';
import { questionOf } from './replay-questions.js';
import { rfc3339 } from './time.js';
import type { CertificateRequest, Decision, Explanation, RequestDraft } from './types.js';
import { validateCreate } from './validate.js';

/**
 * What the rules say to a request, one by one; changes nothing. To one that waits as things are now, to one that is
 * decided as they were then. Throws 'not-found'.
 */
export async function explain(parts: Parts, name: string): Promise<Explanation> {
  const row = await findRequest(parts.store.db, name);
  if (row === undefined) throw requestNotFound(name);
  const request = parseObject(row.object);
  const state = stateOf(request);
  const decided = verdictIn(request, state);
  const about = { state, ...(decided === undefined ? {} : { decided }) };
  if (!parts.profiles.has(row.signer_name)) return { ...unserved(row.signer_name), ...about, facts: 'today' };
  const then = state === 'pending' || state === 'approved' ? undefined : await decisionThenOf(parts, row);
  if (then !== undefined) return { ...then, ...about, facts: 'recorded' };
  const found = await caseOf(parts, row);
  return { ...(found?.plan.decision ?? unserved(row.signer_name)), ...about, facts: 'today' };
}

/** With the facts that were recorded; undefined where none were. */
async function decisionThenOf(parts: Parts, row: RequestRow): Promise<Decision | undefined> {
  const question = questionOf(pastOf(row));
  const parsed = parseRequest(parseObject(row.object).spec.request, 'upstream');
  if ('fault' in parsed || question.requester.facts === undefined) return undefined;
  const policy = { profiles: parts.profiles, nodeApproval: parts.facts.nodePolicy };
  return decisionThen({ sources: parts.facts, policy, question, csr: parsed.csr, mode: 'recorded' });
}

const decisive = { denied: 'Denied', failed: 'Failed', approved: 'Approved', issued: 'Approved' } as const;

function verdictIn(request: CertificateRequest, state: RequestRow['state']): Explanation['decided'] {
  const type = state === 'pending' ? undefined : decisive[state];
  const condition = request.status.conditions?.find((one) => one.type === type);
  if (type === undefined || condition === undefined) return undefined;
  const { reason = '', message = '', lastUpdateTime } = condition;
  return { condition: type, reason, message, ...(lastUpdateTime === undefined ? {} : { at: lastUpdateTime }) };
}

function unserved(signerName: string): Decision {
  const message = `this service does not serve the signer ${signerName}: another one approves and signs it`;
  return { outcome: 'hold', reason: 'UnknownSigner', message, rules: [] };
}

/**
 * What would become of a request if `identity` submitted it now, refusals at create included. Stores nothing, uses up
 * nothing, signs nothing.
 */
export async function explainDraft(parts: Parts, identity: Identity, draft: RequestDraft): Promise<Explanation> {
  const now = parts.clock.now().getTime();
  const { spec } = draft;
  const signerName = spec.signerName ?? '';
  const parsed = parseRequest(spec.request, draft.pem);
  const profile = parts.profiles.get(signerName);
  const name = draft.metadata.name ?? 'explained';
  const fault = refusal(() => {
    mayCreate(identity);
    admitNode(identity, name, signerName, parsed);
    validateCreate({ name }, spec, parsed);
    if (!('fault' in parsed)) admitSubject(name, signerName, parsed.csr.organizations);
  });
  if (fault !== undefined || 'fault' in parsed) {
    const said = fault ?? { reason: 'Invalid', message: 'the request does not parse' };
    const csr = 'fault' in parsed ? undefined : parsed.csr;
    const rules =
      csr === undefined || profile === undefined
        ? []
        : evaluate(profile, csr, spec.usages ?? [], await gatherFacts(parts.facts, { profile, csr, identity, now }))
            .rules;
    return { outcome: 'refuse', ...said, rules, facts: 'today' };
  }
  if (profile === undefined) return { ...unserved(signerName), facts: 'today' };
  const request = newRequest(draft, identity, { name, uid: '', created: rfc3339(now) });
  const { decision } = await planFor(parts, { profile, csr: parsed.csr, identity, request }, now);
  return { ...decision, facts: 'today' };
}

function mayCreate(identity: Identity): void {
  const [group, resource] = ['certificates.k8s.io', 'certificatesigningrequests'];
  if (authorize(identity, { verb: 'create', group, resource }).allowed) return;
  throw new RotundaError('forbidden', `${identity.username} may not create ${resource}`);
}

/** What create would answer with instead of taking the request; undefined where it takes it. */
function refusal(check: () => void): { reason: string; message: string } | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (!(error instanceof RotundaError) || (error.code !== 'forbidden' && error.code !== 'invalid')) throw error;
    return { reason: error.code === 'forbidden' ? 'Forbidden' : 'Invalid', message: error.message };
  }
}
