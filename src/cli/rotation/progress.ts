import type { BlockerView, GateView } from '../../api/rest/rotation-gate-view.js';
import type { ExplanationView, RotationView } from '../../api/rest/rotation-views.js';
import { printable, span } from '../output.js';
import { eventText, stateText } from './views.js';

type Path = RotationView['path'];

const phases: Readonly<Record<Path[number]['phase'], string>> = { done: 'done', now: 'now', ahead: 'to come' };
const mostNamed = 5;

/** Where a rotation is, in lines for a terminal; `all`: everybody who is missing, and not the first few alone. */
export function statusLines(view: ExplanationView, all = false): string[] {
  return [headOf(view), ...pathLines(view), ...gateLines(view, all), ...countLines(view), ...endLines(view)];
}

/** What is different from how it was, in lines of their own. */
export function changeLines(before: ExplanationView | undefined, view: ExplanationView): string[] {
  const { id } = view.rotation;
  const last = before?.events.at(-1)?.sequence ?? 0;
  const news = before === undefined ? [] : view.events.filter(({ sequence }) => sequence > last);
  const said = [
    ...news.map((event) => `${eventText(event)} (${event.actor})`),
    ...fresh(before, view, (one) => gateText(one)),
    ...fresh(before, view, (one) => (one.rotation.finishedAt === undefined ? countLines(one)[0] : undefined)),
    ...fresh(before, view, (one) => (one.rotation.finishedAt === undefined ? one.standstill : undefined)),
  ];
  return said.map((text) => printable(`${view.checkedAt} ${id}: ${text}`));
}

function fresh(
  before: ExplanationView | undefined,
  view: ExplanationView,
  text: (of: ExplanationView) => string | undefined,
): string[] {
  const now = text(view);
  return now === undefined || now === '' || (before !== undefined && text(before) === now) ? [] : [now];
}

/** The gate that the machine waits at. */
export function gateAhead({ ways }: ExplanationView): (GateView & { readonly to: string }) | undefined {
  const way = ways.find(({ by }) => by === 'machine');
  return way && { ...way.gate, to: way.to };
}

function headOf({ rotation, checkedAt }: ExplanationView): string {
  const { id, ring, kind, startedBy, startedAt, reason, finishedAt } = rotation;
  const now = Date.parse(finishedAt ?? checkedAt);
  const how =
    finishedAt === undefined
      ? `started ${span(Date.parse(startedAt), now)} ago`
      : `took ${span(Date.parse(startedAt), now)}`;
  const why = reason === '' ? '' : `: ${reason}`;
  return printable(`${id}: ${kind} rotation of ${ring}, ${stateText(rotation)}, ${how}, by ${startedBy}${why}`);
}

function pathLines({ rotation, checkedAt }: ExplanationView): string[] {
  const widest = Math.max(...rotation.path.map(({ state }) => state.length));
  return rotation.path.map(({ state, phase, at, generation }) => {
    const lasted =
      phase === 'now' && at !== undefined && rotation.finishedAt === undefined
        ? `, for ${span(Date.parse(at), Date.parse(checkedAt))}`
        : '';
    const entered =
      at === undefined ? '' : `${at}${generation === undefined ? '' : `, bundle ${String(generation)}`}${lasted}`;
    return `  ${phases[phase].padEnd(7)}  ${state.padEnd(widest)}  ${entered}`.trimEnd();
  });
}

function gateText(view: ExplanationView): string | undefined {
  const gate = gateAhead(view);
  if (gate === undefined) return undefined;
  const { name, satisfied, required, blocked, to } = gate;
  const missing = blocked === 0 ? 'it passes' : `${String(blocked)} in the way`;
  return `gate ${name}, before ${to}: ${String(satisfied)} of ${String(required)}, ${missing}${namesOf(gate)}`;
}

function namesOf({ blockers, blocked }: GateView): string {
  if (blocked === 0) return '';
  // One consumer may be in the way for several reasons.
  const names = [...new Set(blockers.map(({ subject }) => subject))];
  const rest = names.length - mostNamed + (blocked - blockers.length);
  return ` (${names.slice(0, mostNamed).join(', ')}${rest > 0 ? ` and ${String(rest)} more` : ''})`;
}

function gateLines(view: ExplanationView, all: boolean): string[] {
  const gate = gateAhead(view);
  if (gate === undefined) return [];
  const { name, satisfied, required, blocked, to, blockers } = gate;
  const missing = blocked === 0 ? 'it passes' : `${String(blocked)} in the way`;
  const shown = blockers.slice(0, all ? undefined : mostNamed);
  const rest = blocked - shown.length;
  return [
    `gate ${name}, before ${to}: ${String(satisfied)} of ${String(required)}, ${missing}`,
    ...shown.map((blocker) => `  ${blockerText(blocker)}`),
    ...(rest > 0 ? [`  and ${String(rest)} more`] : []),
  ];
}

export function blockerText({ subject, requirement, lastEvidence }: BlockerView): string {
  return printable(`${subject}: ${requirement}${lastEvidence === '' ? '' : `; ${lastEvidence}`}`);
}

function countLines({ rotation, verifiers, leaves }: ExplanationView): string[] {
  if (rotation.finishedAt !== undefined) return [];
  const { total, current, silent, joiners } = verifiers;
  const notes = [
    ...(silent === 0 ? [] : [`${String(silent)} silent`]),
    ...(joiners === 0 ? [] : [`${String(joiners)} joined without saying what they hold`]),
  ];
  const known = [`${String(current)} of ${String(total)} have loaded the present bundle`, ...notes].join(', ');
  const used = `${String(leaves.old)} of the old authority, ${String(leaves.new)} of the new one`;
  return rotation.kind === 'keys' ? [`verifiers: ${known}`] : [`verifiers: ${known}; certificates in use: ${used}`];
}

/** Whoever had not followed is cut off already. */
const afterCut: readonly string[] = ['cut', 'recovering'];

function endLines({ rotation, standstill, opensAt, estimate, checkedAt }: ExplanationView): string[] {
  if (rotation.finishedAt !== undefined) return [];
  const now = Date.parse(checkedAt);
  const to = (time: string): string => span(now, Date.parse(time));
  const { deadline } = rotation;
  return [
    ...(standstill === undefined ? [] : [printable(`stands still: ${standstill}`)]),
    ...(opensAt === undefined ? [] : [`goes on by itself in ${to(opensAt)}`]),
    ...(deadline === undefined || Date.parse(deadline) <= now || afterCut.includes(rotation.state)
      ? []
      : [`cuts off whoever has not followed in ${to(deadline)}`]),
    ...(estimate === undefined
      ? []
      : [
          `over in about ${to(estimate.usual)}, ${estimate.latest === undefined ? 'at the latest when people have done their part' : `at the latest in ${to(estimate.latest)}`}`,
        ]),
  ];
}
