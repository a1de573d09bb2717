import { CsvError, parse } from 'csv-parse/sync';

import { localFailure } from './failure.js';
import type { Entry } from './node-entries.js';

const columns = ['name', 'addresses', 'dnsNames', 'labels'] as const;
type Column = (typeof columns)[number];
type Line = { readonly record: Readonly<Partial<Record<Column, string>>>; readonly info: { readonly lines: number } };

/** Characters of one row; sixty-four addresses, names and labels are less. */
const mostPerRow = 64 * 1024;

/**
 * CSV (RFC 4180) with a header of `name` and any of `addresses`, `dnsNames` and `labels`. Several entries in one cell
 * are separated by blanks or semicolons, a label is `key=value`; an empty cell says nothing about that fact. Throws a
 * local failure that names the line.
 */
export function readCsv(name: string, text: string): readonly Entry[] {
  try {
    const lines = parse(text, {
      bom: true,
      columns: (header: string[]) => checkHeader(name, header),
      info: true,
      skip_empty_lines: true,
      trim: true,
      max_record_size: mostPerRow,
    }) as unknown as readonly Line[];
    return lines.map(({ record, info }) => ({ where: `line ${info.lines}`, draft: draftOf(record) }));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw localFailure(`${name}: ${explain(error)}`, { cause: error });
  }
}

function checkHeader(name: string, header: readonly string[]): string[] {
  const hints = [`the columns are ${columns.join(', ')}, separated by commas; entries within a cell by semicolons`];
  const unknown = header.find((column) => !columns.some((known) => known === column));
  if (unknown !== undefined)
    throw localFailure(`${name}: there is no column ${JSON.stringify(unknown.slice(0, 100))}`, { hints });
  const twice = header.find((column, index) => header.indexOf(column) !== index);
  if (twice !== undefined) throw localFailure(`${name}: the column ${twice} is there twice`, { hints });
  if (!header.includes('name')) throw localFailure(`${name}: there is no column name`, { hints });
  return [...header];
}

function draftOf({ name = '', addresses, dnsNames, labels }: Line['record']): unknown {
  return {
    name,
    ...listOf('addresses', addresses),
    ...listOf('dnsNames', dnsNames),
    ...(labels === undefined || labels === '' ? {} : { labels: labelsOf(labels) }),
  };
}

function listOf(column: Column, cell: string | undefined): Readonly<Record<string, readonly string[]>> {
  return cell === undefined || cell === '' ? {} : { [column]: entriesOf(cell) };
}

function entriesOf(cell: string): readonly string[] {
  return cell.split(/[\s;]+/).filter((entry) => entry !== '');
}

/** A label without `=` becomes one with an empty value, as Kubernetes has them too. */
function labelsOf(cell: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    entriesOf(cell).map((entry) => {
      const at = entry.indexOf('=');
      return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}

const explanations: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'a quote is not closed',
  CSV_MAX_RECORD_SIZE: `a row is longer than ${mostPerRow} characters`,
  CSV_INVALID_CLOSING_QUOTE: 'after a closing quote there must be a comma or the end of the line',
  INVALID_OPENING_QUOTE: 'a quote is inside a cell that does not begin with one',
  CSV_RECORD_INCONSISTENT_COLUMNS: 'the row has another number of cells than the header',
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH: 'the row has another number of cells than the header',
};

function explain(error: CsvError): string {
  const what = explanations[error.code] ?? error.message.slice(0, 200);
  const { lines } = error as { lines?: unknown };
  return typeof lines === 'number' ? `line ${lines}: ${what}` : what;
}
