import { invalid, type FieldCause } from '../errors.js';
import type { Authority, LeafOrder } from './types.js';

/** Organizations with this prefix make administrators, operators and viewers of the service itself. */
const reservedPrefix = 'rotunda:';
const organization = '2.5.4.10';

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/**
 * What no profile and no person can override when a leaf is ordered: it ends with its issuer at the latest
 * (nothing is shortened in silence), and only the service's own ring makes reserved groups. Throws RotundaError 'invalid'.
 */
export function checkOrder(
  order: LeafOrder,
  issuer: { readonly authority: Authority; readonly notAfter: number },
  rotundaRing: string,
): void {
  const causes: FieldCause[] = [];
  if (order.notAfter > issuer.notAfter) {
    causes.push({
      field: 'notAfter',
      reason: 'FieldValueInvalid',
      message: `the certificate would last until ${iso(order.notAfter)}, its issuer ${issuer.authority.subject} only until ${iso(issuer.notAfter)}`,
    });
  }
  if (order.notBefore >= order.notAfter) {
    causes.push({
      field: 'notBefore',
      reason: 'FieldValueInvalid',
      message: `the certificate would begin at ${iso(order.notBefore)} and end at ${iso(order.notAfter)}`,
    });
  }
  if (order.ring !== rotundaRing) causes.push(...reservedOrganizations(order, rotundaRing));
  if (causes.length > 0) throw invalid(causes);
}

function reservedOrganizations(order: LeafOrder, rotundaRing: string): FieldCause[] {
  return order.subject
    .filter((attribute) => attribute.oid === organization && attribute.value.toLowerCase().startsWith(reservedPrefix))
    .map((attribute) => ({
      field: 'subject',
      reason: 'FieldValueForbidden',
      message: `the organization ${JSON.stringify(attribute.value)} is reserved to the ring ${rotundaRing}`,
    }));
}
