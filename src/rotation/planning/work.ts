import type { Topology } from '../../config/types.js';
import type { VerifierClassFact } from '../types.js';
import { isDeclared } from './declared.js';
import { edgesOf } from './edges.js';
import { type LeafGroup, mostNamed } from './groups.js';
import { lookup, slowest } from './reload-matrix.js';
import type { ReloadEffect, ReloadRow, RowPurpose } from './reload/row.js';

/** What has to be done at the consumers of one class for one file, and what happens by itself there. */
export type Work = {
  readonly class: string;
  /** Undefined: the class is undeclared, so nobody knows how many. */
  readonly consumers: number | undefined;
  readonly names: readonly string[];
  readonly file: string;
  readonly effect: ReloadEffect;
  /** Milliseconds, at the longest. */
  readonly delayMs: number | undefined;
  /** The setup for which this holds; the slowest is assumed. */
  readonly when: string | undefined;
  readonly what: string;
  readonly see: string;
  readonly text: string;
  readonly commands: readonly string[];
  /** What is not known and was assumed. */
  readonly assumed: string | undefined;
};

export type WorkKind = {
  readonly purposes: readonly ReloadRow['purpose'][];
  readonly changes: readonly ReloadRow['change'][];
  /** Of alternatives that depend on the setup, the slowest alone: what has to be reckoned with. */
  readonly slowest: boolean;
};

/** Some processes of a class that state the same software. */
export type Workers = {
  readonly class: string;
  readonly software: string;
  readonly count: number | undefined;
  readonly names: readonly string[];
};

/** Who has to do with a ring, one by one in one pass. `software` by the name of a consumer. */
export function verifyingWorkers(
  verifiers: Iterable<{ readonly name: string; readonly class: string }>,
  classes: readonly VerifierClassFact[],
  software: ReadonlyMap<string, string>,
  now: number,
): readonly Workers[] {
  const groups = new Map<string, { class: string; software: string; count: number; names: string[] }>();
  for (const { name, class: className } of verifiers) {
    const stated = software.get(name) ?? '';
    const key = `${className}|${stated}`;
    const group = groups.get(key) ?? { class: className, software: stated, count: 0, names: [] };
    group.count += 1;
    if (group.names.length < mostNamed) group.names.push(name);
    groups.set(key, group);
  }
  // A class that is attested to have nobody in it has nothing to do.
  const unknown = classes.filter(
    (fact) => fact.registered === 0 && !(isDeclared(fact, now) && fact.attestation?.statement === 'absent'),
  );
  return [
    ...groups.values(),
    ...unknown.map((fact) => ({ class: fact.class, software: '', count: undefined, names: [] })),
  ];
}

/** Who presents leaves of a ring, by class, with a version where the `known` of that class all state the same. */
export function presentingWorkers(
  leaves: readonly LeafGroup[],
  purposes: readonly (keyof Topology)[],
  known: readonly Workers[],
): readonly Workers[] {
  const groups = new Map<string, { class: string; software: string; count: number; names: string[] }>();
  for (const leaf of leaves) {
    const presenter = edgesOf(leaf.profile, purposes, [])[0]?.presenter;
    if (presenter === undefined) continue;
    const group = groups.get(presenter) ?? {
      class: presenter,
      software: softwareOf(presenter, known),
      count: 0,
      names: [],
    };
    group.count += leaf.count;
    const fresh = leaf.names.filter((name) => !group.names.includes(name));
    group.names.push(...fresh.slice(0, mostNamed - group.names.length));
    groups.set(presenter, group);
  }
  return [...groups.values()];
}

/** What these have to do, file by file. What needs most comes first. */
export function workOf(
  workers: readonly Workers[],
  ring: string,
  purposes: readonly RowPurpose[],
  kind: WorkKind,
): readonly Work[] {
  const found = new Map<ReloadRow, Work>();
  for (const group of workers) {
    const { rows, assumed } = lookup(group.class, group.software);
    const wanted = rows.filter(
      (row) =>
        kind.purposes.includes(row.purpose) &&
        kind.changes.includes(row.change) &&
        (purposes.length === 0 || row.topology.some((purpose) => purposes.includes(purpose))),
    );
    for (const row of kind.slowest ? slowest(wanted) : wanted) {
      const guessed = row.versions === undefined && row.software !== '' ? undefined : assumed;
      found.set(row, joined(found.get(row), workFrom(row, ring, group, guessed)));
    }
  }
  return [...found.values()].sort((a, b) => order.indexOf(a.effect) - order.indexOf(b.effect));
}

const order: readonly ReloadEffect[] = ['restart', 'never', 'delayed', 'hot'];

function workFrom(row: ReloadRow, ring: string, group: Workers, assumed: string | undefined): Work {
  return {
    class: group.class,
    consumers: group.count,
    names: group.names,
    file: row.file,
    effect: row.effect,
    delayMs: row.worstDelayMs,
    ...{ when: row.when, what: row.what, see: row.see, text: row.byHand.text },
    commands: row.byHand.commands.map((command) => command.replaceAll(/\bRING\b/g, ring)),
    assumed,
  };
}

function joined(one: Work | undefined, other: Work): Work {
  if (one === undefined) return other;
  const count =
    one.consumers === undefined || other.consumers === undefined ? undefined : one.consumers + other.consumers;
  return {
    ...one,
    consumers: count,
    names: [...one.names, ...other.names].slice(0, mostNamed),
    assumed: one.assumed ?? other.assumed,
  };
}

function softwareOf(className: string, known: readonly Workers[]): string {
  const stated = [...new Set(known.filter((group) => group.class === className).map(({ software }) => software))];
  return stated.length === 1 ? (stated[0] ?? '') : '';
}
