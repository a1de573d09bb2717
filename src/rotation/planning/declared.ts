import type { VerifierClassFact } from '../types.js';

/** Whether anything is known about who is in the class: somebody is registered, or an attestation of it is in force. */
export function isDeclared({ registered, attestation }: VerifierClassFact, now: number): boolean {
  return registered > 0 || (attestation !== undefined && attestation.expiresAt > now);
}

/** The classes that verify the ring and that nobody has said anything about: a gate over them cannot pass. */
export function undeclaredClasses(classes: readonly VerifierClassFact[], now: number): readonly VerifierClassFact[] {
  return classes.filter((fact) => !isDeclared(fact, now));
}
