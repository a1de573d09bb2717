import { stringify } from 'yaml';

import { localFailure } from './failure.js';
import type { Io } from './io.js';

export const formats = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type Format = (typeof formats)[number];

export type Column<T> = {
  readonly title: string;
  /** Shown with `-o wide` only. */
  readonly wide?: true;
  readonly value: (item: T) => string | undefined;
};

/** How objects of one kind are shown. */
export type View<T> = {
  /** Singular, as in `-o name`: `node/n1`. */
  readonly kind: string;
  readonly name: (item: T) => string;
  readonly columns: readonly Column<T>[];
};

/** One object: as it is for json and yaml, as a table of one row otherwise. */
export function printObject<T>(io: Io, format: Format, item: T, view: View<T>): void {
  checkFormat(format);
  if (format === 'json') io.out(`${JSON.stringify(item, undefined, 2)}\n`);
  else if (format === 'yaml') io.out(stringify(item, { lineWidth: 0 }));
  else printRows(io, format, [item], view);
}

/** Several objects: one document `{"items": […]}` for json and yaml. */
export function printList<T>(io: Io, format: Format, items: readonly T[], view: View<T>): void {
  checkFormat(format);
  if (format === 'json') io.out(`${JSON.stringify({ items }, undefined, 2)}\n`);
  else if (format === 'yaml') io.out(stringify({ items }, { lineWidth: 0, aliasDuplicateObjects: false }));
  else if (items.length === 0 && format !== 'name') io.err(`no ${view.kind} found\n`);
  else printRows(io, format, items, view);
}

/** The flag also knows `pem`, which only what holds certificates can be printed as. */
function checkFormat(format: string): void {
  if (formats.some((known) => known === format)) return;
  throw localFailure(`this cannot be printed as ${format}`, { hints: [`use one of ${formats.join(', ')}`] });
}

function printRows<T>(io: Io, format: Format, items: readonly T[], view: View<T>): void {
  if (format === 'name') {
    io.out(items.map((item) => `${view.kind}/${view.name(item)}\n`).join(''));
    return;
  }
  const columns = view.columns.filter((column) => format === 'wide' || column.wide !== true);
  const rows = items.map((item) => columns.map((column) => column.value(item) ?? ''));
  io.out(table([columns.map(({ title }) => title), ...rows]));
}

/** Columns separated by three blanks, as kubectl prints them; an empty cell is `<none>`. */
function table(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map((cell) => printable(cell === '' ? '<none>' : cell)));
  const widths = (shown[0] ?? []).map((_, at) => Math.max(...shown.map((row) => (row[at] ?? '').length)));
  return shown
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('   ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** Control characters out of stored text must not reach a terminal. */
export function printable(cell: string): string {
  return cell.replace(/[\p{Cc}\p{Cf}]/gu, '?');
}

/** Lists in one cell. */
export function joined(values: readonly string[]): string {
  return values.join(',');
}

/** The time since, or until, in one or two units: `3d4h`. */
export function span(from: number, to: number): string {
  const seconds = Math.max(0, Math.floor((to - from) / 1000));
  const units = [
    ['y', 31_536_000],
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const;
  const at = units.findIndex(([, size]) => seconds >= size);
  const largest = units[at];
  if (largest === undefined) return '0s';
  const next = units[at + 1];
  const count = Math.floor(seconds / largest[1]);
  const rest = next === undefined ? 0 : Math.floor((seconds % largest[1]) / next[1]);
  // The second unit says something only while the first is small.
  return next === undefined || rest === 0 || count >= 10
    ? `${count}${largest[0]}`
    : `${count}${largest[0]}${rest}${next[0]}`;
}

export function age(time: string): string {
  return span(Date.parse(time), Date.now());
}

/** Until then, `expired` when it has passed. */
export function until(time: string | undefined): string {
  if (time === undefined) return 'never';
  const at = Date.parse(time);
  return at <= Date.now() ? 'expired' : span(Date.now(), at);
}
