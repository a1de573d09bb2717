import type { ReadCsr } from '../../ca/x509/types.js';
import type { Identity } from '../../identity/types.js';
import type { Profile, RequestFacts, RuleKind, RuleOutcome } from '../types.js';

/** All that a rule may look at. */
export type RuleInput = {
  readonly profile: Profile;
  readonly csr: ReadCsr;
  readonly usages: readonly string[];
  readonly facts: RequestFacts;
};

export type Verdict = { readonly outcome: RuleOutcome; readonly message: string };

/** One named rule. Pure. */
export type Rule = { readonly name: string; readonly kind: RuleKind; readonly check: (input: RuleInput) => Verdict };

export function passed(message: string): Verdict {
  return { outcome: 'passed', message };
}

export function failed(message: string): Verdict {
  return { outcome: 'failed', message };
}

export function missing(message: string): Verdict {
  return { outcome: 'missing', message };
}

const nodePrefix = 'system:node:';

/** The node that a common name speaks of; undefined for any other name. */
export function nodeNameOf(commonName: string): string | undefined {
  return commonName.startsWith(nodePrefix) ? commonName.slice(nodePrefix.length) : undefined;
}

/** The node that a caller is by its certificate, enrolled or not. */
export function callingNode(identity: Identity): string | undefined {
  if (identity.kind === 'token' || identity.kind === 'anonymous') return undefined;
  return identity.node ?? (identity.groups.includes('system:nodes') ? nodeNameOf(identity.username) : undefined);
}

/** Machines are answered at once and for good; for persons another person decides. */
export function isMachine(identity: Identity): boolean {
  return identity.kind === 'token' || identity.member !== undefined || callingNode(identity) !== undefined;
}

export function quoted(values: readonly string[]): string {
  return values.map((v) => JSON.stringify(v)).join(', ');
}
