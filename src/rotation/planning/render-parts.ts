import type { Blocker } from '../types.js';
import { counted, roughly, some, wrapped } from './text.js';
import type { PlanStep } from './types.js';
import type { Work } from './work.js';

/** In which step something was told first: what comes again is not told again. */
export type Shown = Map<string, number>;

const mostBlockers = 8;
const mostNames = 3;
const indent = '   ';
const deeper = '       ';

const headings: Readonly<Record<Work['effect'], string>> = {
  restart: 'Restart',
  never: 'By hand alone',
  delayed: 'After a while',
  hot: 'At once',
};

/** What is done at consumers; files that want the same done are told together. */
export function renderWork(all: readonly Work[], step: number, shown: Shown): string[] {
  const groups = new Map<string, Work[]>();
  for (const one of all) {
    const key = [one.class, one.effect, one.text, ...one.commands].join('|');
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups].flatMap(([key, group]) => work(group, earlier(key, step, shown)));
}

function work(group: readonly Work[], before: number | undefined): string[] {
  const [one] = group;
  if (one === undefined) return [];
  const files = [
    ...new Set(group.map(({ file, when }) => (when === undefined ? file : `${file}, where ${when}`))),
  ].join('; ');
  const delay = Math.max(...group.map(({ delayMs }) => delayMs ?? 0));
  const heading = one.effect === 'delayed' ? `${headings.delayed}, up to ${roughly(delay)}` : headings[one.effect];
  const assumed = group.find((other) => other.assumed !== undefined)?.assumed;
  const text = before === undefined ? one.text : `As in step ${String(before)}.`;
  return [
    ...wrapped(`${heading}: ${who(one)}: ${files}`, indent, deeper),
    ...(assumed === undefined || before !== undefined ? [] : wrapped(`(${assumed})`, deeper)),
    ...(text === 'Nothing.' ? [] : wrapped(text, deeper)),
    ...(before === undefined ? one.commands.map((command) => `${deeper}  $ ${command}`) : []),
  ];
}

function who({ class: name, consumers, names }: Work): string {
  if (consumers === undefined) return `${name}, how many nobody has said`;
  return `${counted(consumers, name, name)} (${some(names, consumers, mostNames)})`;
}

/** What is in the way of leaving a step. */
export function renderBlockers({ blockers, blocked, present }: PlanStep, step: number, shown: Shown): string[] {
  if (blocked === 0) return [];
  const fresh: Blocker[] = [];
  const again = new Map<number, string[]>();
  for (const one of blockers) {
    const before = earlier(`${one.subject}|${one.requirement}`, step, shown);
    if (before === undefined) fresh.push(one);
    else again.set(before, [...(again.get(before) ?? []), one.subject]);
  }
  const rest = blocked - blockers.length + Math.max(0, fresh.length - mostBlockers);
  return [
    `${indent}In the way ${present ? 'now' : 'already'}:`,
    ...fresh.slice(0, mostBlockers).flatMap(blocker),
    ...[...again].flatMap(([before, subjects]) =>
      wrapped(`${some(subjects, subjects.length, mostBlockers)}: as in step ${String(before)}`, `${indent}  `, deeper),
    ),
    ...(rest > 0 ? [`${indent}  and ${String(rest)} more`] : []),
  ];
}

function blocker({ subject, requirement, lastEvidence, remedies }: Blocker): string[] {
  return [
    ...wrapped(`${subject}: ${requirement}; ${lastEvidence}`, `${indent}  `, deeper),
    ...remedies.flatMap((remedy) => wrapped(`- ${remedy}`, deeper, `${deeper}  `)),
  ];
}

function earlier(key: string, step: number, shown: Shown): number | undefined {
  const before = shown.get(key);
  if (before === undefined) shown.set(key, step);
  return before;
}
