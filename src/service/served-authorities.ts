import { candidateIn, retiredIn } from '../rotation/probing/goals.js';
import type { Rotation } from '../rotation/types.js';

/** An authority under whose certificate this service is to be reached too, at `<role>.<ring>.rotunda.internal`. */
export type ServedAuthority = {
  /** `candidate`: whose trust is to be shown. `retired`: whom nobody should believe any more. */
  readonly role: 'candidate' | 'retired';
  readonly ring: string;
  /** SKI. */
  readonly authority: string;
  /** The bundle generation that brought it in, or left it out. */
  readonly generation: number;
};

/** What is to be served while this rotation is where it is. */
export function servedIn(rotation: Rotation): ServedAuthority[] {
  const { ring } = rotation;
  const candidate = candidateIn(rotation);
  const retired = retiredIn(rotation);
  return [
    ...(candidate === undefined ? [] : [{ role: 'candidate' as const, ring, ...candidate }]),
    ...(retired === undefined ? [] : [{ role: 'retired' as const, ring, ...retired }]),
  ];
}

export function servedName({ role, ring }: Pick<ServedAuthority, 'role' | 'ring'>): string {
  return `${role}.${ring}.rotunda.internal`;
}

export const servedNamePattern = /^(candidate|retired)\.[a-z0-9-]+\.rotunda\.internal$/;
