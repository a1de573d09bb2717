import type { Identity } from '../identity/types.js';
import type { WriteTx } from '../store/types.js';
import { type Parts, record } from './parts.js';
import type { Plan } from './plan.js';
import type { CertificateRequest } from './types.js';

const actions = { approve: 'request.approved', deny: 'request.denied', hold: 'request.held' } as const;
const outcomes = { approve: 'approved', deny: 'denied', hold: 'held' } as const;

/** One event for the submission and what was decided about it. */
export function recordDecision(
  parts: Parts,
  tx: WriteTx,
  event: { identity: Identity; name: string; plan: Plan | undefined; request: CertificateRequest; now: number },
): Promise<void> {
  const { identity, name, plan, request, now } = event;
  const { signerName } = request.spec;
  if (plan === undefined) {
    return record(parts, tx, {
      action: 'request.submitted',
      actor: identity.username,
      name,
      outcome: 'ok',
      detail: { signerName },
      at: now,
    });
  }
  const { decision, prepared, csr } = plan;
  return record(parts, tx, {
    action: actions[decision.outcome],
    actor: identity.username,
    name,
    outcome: outcomes[decision.outcome],
    detail: {
      signerName,
      commonName: csr.commonName,
      names: csr.names.map((n) => `${n.kind}:${n.value}`),
      reason: decision.reason,
      message: decision.message,
      ...(identity.token === undefined ? {} : { token: identity.token.id }),
      ...(prepared === undefined ? {} : { serial: prepared.serial }),
    },
    at: now,
  });
}
