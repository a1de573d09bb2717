import type { ExplanationView } from '../../api/rest/rotation-views.js';
import type { Io } from '../io.js';
import type { Format } from '../output.js';
import { isDocument, printDocument } from './documents.js';
import { changeLines, statusLines } from './progress.js';

/** How looks at a rotation are shown one after the other. */
export type Screen = (view: ExplanationView) => void;

/** Drawn anew in its place on a terminal; elsewhere the whole first and then a line for each change, or documents. */
export function screenFor(io: Io, format: Format): Screen {
  if (isDocument(format)) return documents(io, format);
  return io.terminal?.() === undefined ? lines(io.out, format) : redrawn(io, format);
}

/** For what is waited for beside other output. */
export function progressOn(write: (text: string) => void): Screen {
  let before: ExplanationView | undefined;
  return (view) => {
    write(joined(changeLines(before, view)));
    before = view;
  };
}

function lines(write: (text: string) => void, format: Format): Screen {
  let before: ExplanationView | undefined;
  return (view) => {
    write(joined(before === undefined ? statusLines(view, format === 'wide') : changeLines(before, view)));
    before = view;
  };
}

function redrawn(io: Io, format: Format): Screen {
  let drawn = 0;
  return (view) => {
    const { columns, rows } = io.terminal?.() ?? { columns: 80, rows: 24 };
    const shown = statusLines(view, format === 'wide')
      .slice(0, rows - 1)
      .map((line) => line.slice(0, columns - 1));
    // Up to where it began, and everything below is wiped.
    io.out(`${drawn === 0 ? '' : `\u001b[${String(drawn)}A\u001b[J`}${joined(shown)}`);
    drawn = shown.length;
  };
}

/** One document for each change; time alone is none. */
function documents(io: Io, format: 'json' | 'yaml'): Screen {
  let before = '';
  return (view) => {
    const { checkedAt, estimate, opensAt, ...rest } = view;
    const now = JSON.stringify(rest);
    if (now === before) return;
    if (before !== '' && format === 'yaml') io.out('---\n');
    before = now;
    printDocument(
      io,
      format,
      statusDocument({ ...rest, checkedAt, ...(estimate && { estimate }), ...(opensAt && { opensAt }) }),
    );
  };
}

/** A status without the history, which `events` has. */
export function statusDocument(view: ExplanationView): Omit<ExplanationView, 'events'> {
  return Object.fromEntries(Object.entries(view).filter(([key]) => key !== 'events')) as Omit<
    ExplanationView,
    'events'
  >;
}

function joined(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}
