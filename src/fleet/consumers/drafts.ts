import { type FieldCause, invalid } from '../../errors.js';
import type { ConsumerRow } from '../../store/queries/consumers.js';
import { cause, checkNodeName } from '../names.js';
import { checkAlgorithms, checkConsumerName, checkEndpoints, checkLine, fullName, partsOf } from './names.js';
import type { ConsumerDraft, RingRoleDraft } from './types.js';

/** Milliseconds: shorter ones would make a busy network look like a death. */
const shortestLeaseMs = 30_000;
const longestLeaseMs = 30 * 86_400_000;

/** A draft that keeps the rules, as columns; what it leaves out is left out. */
export type Registration = {
  readonly name: string;
  readonly class: string;
  readonly set: Partial<ConsumerRow>;
  readonly rings: readonly RingRoleDraft[] | undefined;
  readonly forgetProcess: boolean;
};

/** Throws 'invalid' with every broken rule. */
export function readDraft(draft: ConsumerDraft): Registration {
  const name = fullName(draft);
  const { class: of } = partsOf(name);
  const causes: FieldCause[] = [];
  const checked = checkConsumerName(name);
  if ('problem' in checked) causes.push(cause('name', draft.name, checked.problem));
  const node = draft.node === undefined ? undefined : checkNodeName(draft.node);
  if (node !== undefined && 'problem' in node) causes.push(cause('node', draft.node ?? '', node.problem));
  const endpoints = draft.endpoints && checkEndpoints(draft.endpoints);
  const algorithms = draft.algorithms && checkAlgorithms(draft.algorithms);
  causes.push(...(endpoints?.causes ?? []), ...(algorithms?.causes ?? []));
  causes.push(...leaseCauses(draft.leaseMs));
  if (draft.software !== undefined) causes.push(...checkLine('software', draft.software, 0, 128));
  if (causes.length > 0) throw invalid(causes, { resource: 'consumers', kind: 'Consumer', name });
  return {
    ...{ name, class: of, rings: draft.rings, forgetProcess: draft.forgetProcess === true },
    set: {
      ...(draft.node !== undefined && { node: draft.node }),
      ...(endpoints && { endpoints: JSON.stringify(endpoints.values) }),
      ...(algorithms && { algorithms: JSON.stringify(algorithms.values) }),
      ...(draft.software !== undefined && { software: draft.software }),
      ...(draft.leaseMs !== undefined && { lease_ms: draft.leaseMs }),
    },
  };
}

export function leaseCauses(leaseMs: number | undefined): FieldCause[] {
  if (leaseMs === undefined || (leaseMs >= shortestLeaseMs && leaseMs <= longestLeaseMs)) return [];
  const message = 'Invalid value: must be between 30 seconds and 30 days';
  return [{ field: 'leaseSeconds', reason: 'FieldValueInvalid', message }];
}
