import type { FieldCause } from '../errors.js';
import { duplicate, forbidden, invalidValue, notSupported, required, requireFew } from './causes.js';
import type { CertificateRequest, Condition } from './types.js';

const field = 'status.conditions';
const decisive: readonly string[] = ['Approved', 'Denied', 'Failed'];

/** Whether there is a condition of this type that is not False. */
export function hasCondition(request: CertificateRequest, type: string): boolean {
  return request.status.conditions?.some((c) => c.type === type) === true;
}

/** Upstream's validateConditions. An object that broke a rule before may keep breaking that one. */
export function conditionCauses(wanted: CertificateRequest, stored?: CertificateRequest): FieldCause[] {
  const conditions = wanted.status.conditions ?? [];
  requireFew(field, conditions.length);
  const bothAllowed = stored !== undefined && hasCondition(stored, 'Approved') && hasCondition(stored, 'Denied');
  const causes: FieldCause[] = [];
  const seen = new Set<string>();
  for (const [index, condition] of conditions.entries()) {
    const path = `${field}[${String(index)}]`;
    if (condition.type === '') causes.push(required(`${path}.type`));
    causes.push(...statusCauses(condition, `${path}.status`));
    if (seen.has(condition.type)) causes.push(duplicate(`${path}.type`, condition.type));
    seen.add(condition.type);
    const opposite = condition.type === 'Approved' ? 'Denied' : condition.type === 'Denied' ? 'Approved' : undefined;
    if (opposite !== undefined && seen.has(opposite) && !bothAllowed) {
      causes.push(invalidValue(field, condition.type, 'Approved and Denied conditions are mutually exclusive'));
    }
  }
  return causes;
}

function statusCauses(condition: Condition, path: string): FieldCause[] {
  const allowed = decisive.includes(condition.type) ? ['True'] : ['False', 'True', 'Unknown'];
  if (condition.status === '') return [required(path)];
  return allowed.includes(condition.status) ? [] : [notSupported(path, condition.status, allowed)];
}

/** What an update may not do to decisive conditions; `mayApprove` on the approval endpoint only. */
export function conditionChangeCauses(
  wanted: CertificateRequest,
  stored: CertificateRequest,
  mayApprove: boolean,
): FieldCause[] {
  const causes: FieldCause[] = [];
  for (const type of decisive) {
    if (ofType(wanted, type).length < ofType(stored, type).length) {
      causes.push(forbidden(field, `updates may not remove a condition of type ${JSON.stringify(type)}`));
    }
  }
  if (mayApprove) return causes;
  for (const type of ['Approved', 'Denied']) {
    const before = ofType(stored, type);
    const after = ofType(wanted, type);
    if (after.length > before.length)
      causes.push(forbidden(field, `updates may not add a condition of type ${JSON.stringify(type)}`));
    else if (after.length === before.length && !sameConditions(after, before)) {
      causes.push(forbidden(field, `updates may not modify a condition of type ${JSON.stringify(type)}`));
    }
  }
  return causes;
}

/** Fills times that were left out: now, or when a condition of the same type and status last changed. */
export function withTimes(conditions: readonly Condition[], stored: readonly Condition[], now: string): Condition[] {
  return conditions.map((condition) => {
    const same = stored.find(
      (c) => c.type === condition.type && c.status === condition.status && hasTime(c.lastTransitionTime),
    );
    return {
      ...condition,
      lastUpdateTime: hasTime(condition.lastUpdateTime) ? condition.lastUpdateTime : now,
      lastTransitionTime: hasTime(condition.lastTransitionTime)
        ? condition.lastTransitionTime
        : (same?.lastTransitionTime ?? now),
    };
  });
}

/** On the status endpoint, conditions of this type keep their stored values while their number is unchanged. */
export function preserved(conditions: readonly Condition[], stored: readonly Condition[], type: string): Condition[] {
  const before = stored.filter((c) => c.type === type);
  if (conditions.filter((c) => c.type === type).length !== before.length) return [...conditions];
  let next = 0;
  return conditions.map((condition) => (condition.type === type ? (before[next++] ?? condition) : condition));
}

/** An empty time may arrive as null from a decoder that keeps what was sent. */
function hasTime(time: string | null | undefined): time is string {
  return time !== undefined && time !== null && time !== '';
}

function ofType(request: CertificateRequest, type: string): Condition[] {
  return (request.status.conditions ?? []).filter((c) => c.type === type);
}

function sameConditions(a: readonly Condition[], b: readonly Condition[]): boolean {
  const keys = ['type', 'status', 'reason', 'message', 'lastUpdateTime', 'lastTransitionTime'] as const;
  return a.every((condition, index) => keys.every((key) => (condition[key] ?? '') === (b[index]?.[key] ?? '')));
}
