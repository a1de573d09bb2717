import { formatDuration } from '../config/duration.js';
import type { Outcome, Turn } from '../rotation/renewal/simulation/types.js';
import type { Io } from './io.js';
import { type Column, type Format, printList, span } from './output.js';

type Of<T> = { readonly outcome: Outcome; readonly part: T };

/** Which simulation a row is of. */
const common: readonly Column<Of<unknown>>[] = [
  { title: 'POLICY', value: ({ outcome }) => outcome.scenario.policy },
  { title: 'CERTIFICATES', value: ({ outcome }) => String(outcome.scenario.certificates) },
];

const turnColumns: readonly Column<Of<Turn>>[] = [
  { title: 'TURN', value: ({ part }) => String(part.turn) },
  { title: 'FROM', value: ({ part }) => since(part.from) },
  { title: 'UNTIL', value: ({ part }) => since(part.until) },
  { title: 'RENEWALS', value: ({ part }) => String(part.renewals) },
  { title: 'PEAK', value: ({ outcome, part }) => perBucket(part.peak, outcome) },
  { title: 'MEAN', value: ({ outcome, part }) => perBucket(part.mean, outcome) },
  { title: 'PEAK/MEAN', value: ({ part }) => part.ratio.toFixed(2) },
  { title: 'PEAK/S', value: ({ part }) => rounded(part.peakPerSecond) },
  { title: 'STEADY', wide: true, value: ({ outcome }) => perBucket(outcome.steady, outcome) },
  { title: 'BUCKET', wide: true, value: ({ outcome }) => formatDuration(outcome.bucketMs) },
];

type Outage = NonNullable<Outcome['outage']>;
const outageColumns: readonly Column<Of<Outage>>[] = [
  { title: 'BACK AT', value: ({ part }) => since(part.restoredAt) },
  { title: 'EXPIRED', value: ({ part }) => String(part.expired) },
  { title: 'LATE', value: ({ part }) => String(part.late) },
  { title: 'SHARE', value: ({ part }) => `${(part.fraction * 100).toFixed(2)} %` },
  { title: 'DRAINED AFTER', value: ({ part }) => (part.drainedMs === undefined ? 'never' : span(0, part.drainedMs)) },
  { title: 'TURNED AWAY', value: ({ outcome }) => String(outcome.turnedAway) },
];

type Rotation = NonNullable<Outcome['rotation']>;
const rotationColumns: readonly Column<Of<Rotation>>[] = [
  { title: 'WAVE OVER', value: ({ part }) => (part.widthMs === undefined ? 'none' : span(0, part.widthMs)) },
  {
    title: 'ALL RENEWED AFTER',
    value: ({ part }) => (part.renewedMs === undefined ? 'never' : span(0, part.renewedMs)),
  },
  { title: 'PEAK', value: ({ outcome, part }) => perBucket(part.peak, outcome) },
  { title: 'PEAK/S', value: ({ outcome, part }) => rounded((part.peak * 1000) / outcome.bucketMs) },
  { title: 'TURNED AWAY', value: ({ outcome }) => String(outcome.turnedAway) },
];

/** Everything as it is for json and yaml; otherwise a table of loads, and one each for outages and rotations. */
export function printOutcomes(io: Io, format: Format, outcomes: readonly Outcome[]): void {
  const show = <T>(parts: (outcome: Outcome) => readonly T[], columns: readonly Column<Of<T>>[]): void => {
    const rows = outcomes.flatMap((outcome) => parts(outcome).map((part) => ({ outcome, part })));
    if (rows.length === 0) return;
    printList(io, format, rows, { kind: 'simulation', name: nameOf, columns: [...common, ...columns] });
  };
  if (format === 'json' || format === 'yaml') {
    printList(io, format, outcomes, { kind: 'simulation', name: () => '', columns: [] });
    return;
  }
  show(({ turns }) => turns, turnColumns);
  if (format === 'name') return;
  if (outcomes.some(({ outage }) => outage !== undefined)) io.out('\n');
  show(({ outage }) => (outage === undefined ? [] : [outage]), outageColumns);
  if (outcomes.some(({ rotation }) => rotation !== undefined)) io.out('\n');
  show(({ rotation }) => (rotation === undefined ? [] : [rotation]), rotationColumns);
}

function nameOf({ outcome: { scenario } }: Of<unknown>): string {
  return `${scenario.policy}-${String(scenario.certificates)}`;
}

function since(ms: number): string {
  return span(0, ms);
}

function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function perBucket(count: number, { bucketMs }: Outcome): string {
  return `${rounded(count)}/${formatDuration(bucketMs)}`;
}
