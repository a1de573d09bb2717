import type { VerifierClassFact } from '../types.js';
import { isDeclared } from './declared.js';

/** Names that are kept of a group; its count says how many there are. */
export const mostNamed = 10;

/** A leaf that can still be presented. */
export type Leaf = {
  /** Whoever presents it, as an operator knows it: the common name, the node or member. */
  readonly name: string;
  readonly profile: string;
  /** Key of the authority that signed it. */
  readonly authority: string;
  /** Key of the authority that vouches for that in the chain as it is presented; undefined without a cross-certificate. */
  readonly crossFrom: string | undefined;
};

/** Leaves that verify alike. */
export type LeafGroup = {
  readonly profile: string;
  readonly authority: string;
  readonly crossFrom: string | undefined;
  readonly count: number;
  readonly names: readonly string[];
};

/** Consumers that may hold the same bundles. */
export type HolderGroup = {
  readonly class: string;
  /** Generation that their processes have loaded at the least; undefined: any that ever was may be theirs. */
  readonly loaded: number | undefined;
  /** Undefined: nobody knows how many, because the class is undeclared. */
  readonly count: number | undefined;
  readonly names: readonly string[];
};

/** A published bundle, by the keys of its anchors. */
export type Generation = { readonly generation: number; readonly anchors: readonly string[] };

type Growing<T> = { readonly of: T; count: number; readonly names: string[] };

/** By profile and chain, in one pass. */
export function groupLeaves(leaves: Iterable<Leaf>): readonly LeafGroup[] {
  const groups = new Map<string, Growing<Leaf>>();
  for (const leaf of leaves) add(groups, `${leaf.profile}|${leaf.authority}|${leaf.crossFrom ?? ''}`, leaf, leaf.name);
  return [...groups.values()].map(({ of: { profile, authority, crossFrom }, count, names }) => ({
    ...{ profile, authority, crossFrom },
    ...{ count, names },
  }));
}

/**
 * By class and what they have loaded, in one pass. A class that nobody has declared is a group of unknown size that may
 * hold anything; one that is attested without anybody registered holds at least what was attested.
 */
export function groupHolders(
  verifiers: Iterable<{
    readonly name: string;
    readonly class: string;
    readonly loaded: number;
    readonly joiner: boolean;
  }>,
  classes: readonly VerifierClassFact[],
  now: number,
): readonly HolderGroup[] {
  const groups = new Map<string, Growing<{ readonly class: string; readonly loaded: number | undefined }>>();
  for (const { name, class: className, loaded, joiner } of verifiers) {
    const known = joiner || loaded === 0 ? undefined : loaded;
    add(groups, `${className}|${String(known)}`, { class: className, loaded: known }, name);
  }
  const registered = [...groups.values()].map(({ of, count, names }) => ({ ...of, count, names }));
  return [...registered, ...classes.flatMap((fact) => unregistered(fact, now))];
}

function unregistered(fact: VerifierClassFact, now: number): HolderGroup[] {
  if (fact.registered > 0) return [];
  const { class: name, attestation } = fact;
  if (!isDeclared(fact, now))
    return [{ class: name, loaded: undefined, count: undefined, names: [`whoever is ${name}`] }];
  if (attestation?.statement !== 'loaded') return [];
  const { generation, by } = attestation;
  return [{ class: name, loaded: generation, count: undefined, names: [`${name}, as ${by} attested`] }];
}

function add<T>(groups: Map<string, Growing<T>>, key: string, of: T, name: string): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, { of, count: 1, names: [name] });
  else {
    group.count += 1;
    if (group.names.length < mostNamed) group.names.push(name);
  }
}
