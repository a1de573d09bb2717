import type { FastifyRequest } from 'fastify';

import type { Context } from '../../context.js';
import { RotundaError } from '../../errors.js';
import type { Acknowledgement, Reported } from '../../fleet/consumers/report-types.js';
import { ownConsumerOf } from '../../fleet/consumers/selves.js';
import type { AcknowledgementBody } from './acknowledgements.js';
import { defined } from './schemas.js';

export type Shown = Pick<FastifyRequest, 'identity' | 'candidate' | 'candidateProblem'> & {
  readonly params: { readonly consumer: string };
  readonly body: AcknowledgementBody;
};

type Candidate = NonNullable<FastifyRequest['candidate']>;

/**
 * The connection itself is the evidence: its certificate is of the new authority, without the cross-certificate, and the
 * caller has verified it. Who calls is settled as for every report. Throws 'conflict' where it shows nothing.
 */
export async function shown(
  { consumers, clock }: Pick<Context, 'consumers' | 'clock'>,
  request: Shown,
): Promise<Reported> {
  const { body, params, identity } = request;
  const { ring, generation } = candidateOf(request);
  // Another's connection shows what that other one trusts, also of one that runs on the same machine.
  if (ownConsumerOf(identity)?.name !== (await consumers.get(params.consumer)).name)
    throw new RotundaError('forbidden', `${identity.username} cannot shake hands for ${params.consumer}`, {
      hint: 'the consumer itself connects, with its own certificate; others say what they know with evidence restart, or attest',
    });
  // A machine that takes its place meanwhile has shown nothing.
  const at = clock.now().getTime();
  const said = acknowledgementOf(params.consumer, body);
  const reported = await consumers.acknowledge({ ...said, evidence: 'self-report' }, identity);
  // The word of a process that was replaced, or that a newer word came before: so is its handshake.
  if (reported.outcome === 'other-process' || reported.outcome === 'late') return reported;
  const process = said.process === undefined ? {} : { process: said.process };
  const proof = { consumer: params.consumer, ring, generation, evidence: 'reverse-handshake', clean: true } as const;
  const outcome = await consumers.prove(undefined, { ...proof, ...process, at });
  return {
    outcome: outcome === 'unchanged' ? reported.outcome : outcome,
    consumer: await consumers.get(params.consumer),
  };
}

/** What the listener has noted of the connection. Throws 'conflict' where that is not what is acknowledged. */
function candidateOf({ candidate, candidateProblem, body: { ring, generation } }: Shown): Candidate {
  if (candidate?.ring === ring && candidate.generation <= generation) return candidate;
  const name = `candidate.${ring}.rotunda.internal`;
  throw new RotundaError('conflict', candidateProblem ?? `this connection shows nothing of the ring ${ring}`, {
    hint: `while an authority comes, connect to this service under the name ${name}, and verify its certificate with what the process has loaded`,
  });
}

export function acknowledgementOf(consumer: string, body: AcknowledgementBody): Omit<Acknowledgement, 'evidence'> {
  const { process, reportedAt, deliveredAt, startedAt, evidence: _evidence, ...rest } = body;
  return {
    ...defined(rest),
    consumer,
    ...(process && { process: { id: process.id, startedAt: Date.parse(process.startedAt) } }),
    ...(reportedAt !== undefined && { reportedAt: Date.parse(reportedAt) }),
    ...(deliveredAt !== undefined && { deliveredAt: Date.parse(deliveredAt) }),
    ...(startedAt !== undefined && { startedAt: Date.parse(startedAt) }),
  };
}
