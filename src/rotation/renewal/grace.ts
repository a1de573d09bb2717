/** What is known of a certificate that has expired and whose holder wants another. Times in milliseconds. */
export type ExpiredCertificate = {
  readonly notAfter: number;
  readonly revokedAt: number | undefined;
  /** Its successor was seen in use. */
  readonly supersededAt: number | undefined;
  /** One for the same node and profile was issued after it. */
  readonly hasSuccessor: boolean;
  readonly banned: boolean;
  /** The state of its node's enrolment; undefined where it is not enrolled. */
  readonly nodeState: 'expected' | 'joined' | 'disabled' | undefined;
  readonly authority: { readonly tainted: boolean; readonly notAfter: number } | undefined;
};

/**
 * Why an expired certificate does not renew itself; undefined where it does. Only the last one that its node was given
 * does: with an earlier one somebody who found a key that was given up long ago would be that node again.
 */
export function graceProblem(certificate: ExpiredCertificate, graceMs: number, now: number): string | undefined {
  const { notAfter, revokedAt, supersededAt, hasSuccessor, banned, nodeState, authority } = certificate;
  if (now <= notAfter) return 'it has not expired';
  if (now - notAfter > graceMs) return 'the time to renew it after its end has passed';
  if (revokedAt !== undefined || banned) return 'it was revoked';
  if (supersededAt !== undefined || hasSuccessor) return 'it is not the last one that its node was given';
  if (nodeState !== 'joined') return `its node is ${nodeState ?? 'not enrolled'}`;
  if (authority === undefined || now > authority.notAfter) return 'its authority is not one of the ring any more';
  return authority.tainted ? 'the key of its authority may be somebody else’s too' : undefined;
}
