import type { Failure } from './cross-product.js';
import { keyName } from './describe.js';
import { renderBlockers, renderWork, type Shown } from './render-parts.js';
import { columns, counted, moment, roughly, some, wrapped } from './text.js';
import type { Plan, PlanStep } from './types.js';

const mostPairs = 10;
const mostNames = 3;
const indent = '   ';
const hanging = '     ';

/** The plan as a table with what each step needs below it: lines of text, for a terminal. Works on the plan's JSON alone. */
export function renderPlan(plan: Plan): string {
  const shown: Shown = new Map();
  const steps = plan.steps.flatMap((step, index) => ['', ...details(plan, step, index, shown)]);
  return [...head(plan), '', ...overview(plan), ...steps, ''].join('\n');
}

function head(plan: Plan): string[] {
  const { ring, kind, finish, failsNow } = plan;
  const cross =
    kind === 'planned' ? [plan.crossSigned ? 'with a cross-certificate' : 'without a cross-certificate'] : [];
  const size = [counted(plan.leaves, 'leaf', 'leaves'), counted(plan.consumers, 'consumer')];
  const what = plan.rotation === undefined ? `A rotation of ${ring}` : `The rotation ${plan.rotation} of ${ring}`;
  const latest =
    finish.worst === undefined ? 'how long at the most is up to people' : `at the latest ${moment(finish.worst)}`;
  return [
    `${what}: ${[kind, ...cross, ...size].join(', ')}.`,
    `It is over about ${moment(finish.usual)}, in ${roughly(finish.usual - plan.now)}; ${latest}.`,
    ...(failsNow.length === 0 ? [] : ['', 'As things are already, without a rotation:', ...failures(plan, failsNow)]),
  ];
}

function overview(plan: Plan): string[] {
  const rows = plan.steps.map((step, index) => [
    String(index + 1),
    step.present ? `${step.state} (now)` : step.state,
    moment(step.from),
    roughly(step.duration.usual),
    step.duration.worst === undefined ? 'open' : roughly(step.duration.worst),
    step.needsRestarts ? 'yes' : 'no',
    step.blocked === 0 ? '-' : String(step.blocked),
    step.back === undefined ? 'no' : 'yes',
  ]);
  return columns([['STEP', 'STATE', 'BEGINS', 'LASTS', 'AT MOST', 'RESTARTS', 'BLOCKERS', 'ROLLBACK'], ...rows]);
}

function details(plan: Plan, step: PlanStep, index: number, shown: Shown): string[] {
  const number = index + 1;
  const before = plan.steps[index - 1]?.wouldFail ?? plan.failsNow;
  const fresh = step.wouldFail.filter((one) => !before.some((other) => isSame(one, other)));
  const end = step.gate === 'none' && index === plan.steps.length - 1;
  return [
    `${String(number)}. ${step.state}: ${step.meaning}`,
    ...step.does.flatMap((text) => wrapped(`Rotunda ${text}.`, indent, hanging)),
    ...step.waitsFor.map((id) => `${indent}Begins when ${id} needs no restarts any more: one rotation at a time may.`),
    ...renderWork(step.work, number, shown),
    ...(end ? [] : afterwards(step)),
    ...renderBlockers(step, number, shown),
    ...(fresh.length === 0
      ? []
      : [`${indent}If it were entered now, without waiting for anything:`, ...failures(plan, fresh)]),
  ];
}

function afterwards({ gate, duration, back }: PlanStep): string[] {
  const { usual, worst, basis, why } = duration;
  const most = worst === undefined || worst === usual ? '' : `, at most ${roughly(worst)}`;
  const way = back === undefined ? 'No rollback from here.' : `A rollback leads through ${back.join(', ')}.`;
  return [
    ...(gate === 'none' ? [] : wrapped(`Left when ${gate}.`, indent, hanging)),
    ...wrapped(`Lasts about ${roughly(usual)}${most} (${basis}: ${why}).`, indent, hanging),
    ...wrapped(way, indent, hanging),
  ];
}

/** Pairs that differ in the profile alone are told together. */
function failures(plan: Plan, all: readonly Failure[]): string[] {
  const groups = new Map<string, Failure[]>();
  for (const one of all) {
    const key = [one.authority, one.verifier, one.certainty, one.generations.join(), one.verifiers.join()].join('|');
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const texts = [...groups.values()].map((group) => failure(plan, group));
  const rest = texts.length - mostPairs;
  const more = rest > 0 ? [`${hanging}and ${counted(rest, 'more group')} of consumers`] : [];
  return [...texts.slice(0, mostPairs).flatMap((text) => wrapped(`- ${text}`, hanging, `${hanging}  `)), ...more];
}

function failure(plan: Plan, group: readonly Failure[]): string {
  const [one] = group;
  if (one === undefined) return '';
  const leaves = group.reduce((sum, other) => sum + other.leaves, 0);
  const presenters = some([...new Set(group.flatMap((other) => other.presenters))], leaves, mostNames);
  const who = `${counted(leaves, 'leaf', 'leaves')} of ${keyName(one.authority, plan)} (${presenters})`;
  const single = one.consumers === undefined || one.consumers === 1;
  const names = some(one.verifiers, one.consumers, mostNames);
  const verifiers = one.consumers === undefined ? names : `${String(one.consumers)} ${one.verifier} (${names})`;
  const holds = one.certainty === 'holds' ? (single ? 'holds' : 'hold') : 'may hold';
  return `${who} would be refused by ${verifiers}, which ${holds} bundle ${one.generations.join(', ')}`;
}

function isSame(one: Failure, other: Failure): boolean {
  const key = (of: Failure): string =>
    [of.profile, of.authority, of.verifier, of.certainty, of.leaves, of.verifiers.join(), of.generations.join()].join(
      '|',
    );
  return key(one) === key(other);
}
