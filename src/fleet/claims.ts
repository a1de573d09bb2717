import { RotundaError } from '../errors.js';

/** What a token, or an unbound token for an expected node, was last given under one profile, and how often. */
export type Claim = {
  readonly serial: string;
  readonly count: number;
  /** Its certificate has authenticated. */ readonly used?: boolean;
};
export type Claims = Readonly<Record<string, Claim>>;

/** A machine that died before it wrote its certificate may ask again this often. */
export const mostReplacements = 5;

export function parseClaims(text: string): Claims {
  // Written by this program only, so its shape is known.
  return JSON.parse(text) as Claims;
}

/**
 * The claims after `profile` is given as `serial`, and the serial that it replaces. Throws 'forbidden' when `subject`
 * (named in the message) has been given this profile and used it, or had it replaced too often.
 */
export function advanceClaims(
  claims: Claims,
  next: { readonly profile: string; readonly serial: string; readonly subject: string; readonly reusable?: boolean },
): { readonly claims: Claims; readonly replaced: string | undefined } {
  const { profile, serial, subject, reusable = false } = next;
  const before = Object.hasOwn(claims, profile) ? claims[profile] : undefined;
  if (before !== undefined && !reusable) {
    if (before.used === true)
      throw new RotundaError(
        'forbidden',
        `${subject} is used up for ${profile}: certificate ${before.serial} has authenticated`,
      );
    if (before.count > mostReplacements) {
      throw new RotundaError(
        'forbidden',
        `${subject} was replaced ${mostReplacements} times for ${profile} without its certificate being used`,
      );
    }
  }
  return {
    claims: { ...claims, [profile]: { serial, count: (before?.count ?? 0) + 1 } },
    replaced: before === undefined || before.used === true ? undefined : before.serial,
  };
}

/** The claims after the certificate `serial` first authenticated; undefined when none of them is about it. */
export function useClaim(claims: Claims, serial: string): Claims | undefined {
  const entry = Object.entries(claims).find(([, claim]) => claim.serial === serial);
  if (entry === undefined) return undefined;
  const [profile, claim] = entry;
  return { ...claims, [profile]: { ...claim, used: true } };
}
