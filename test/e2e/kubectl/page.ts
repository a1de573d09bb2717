import { matrix, type Row } from './matrix.js';

const versions = [
  [20, '1.20 (Debian 12)'],
  [32, '1.32'],
  [36, '1.36'],
] as const;

/** What was driven, as Markdown: one table for each heading, one line for each command. */
export function commandTables(): string {
  return Object.entries(matrix)
    .map(([about, rows]) => `### ${about}\n\n${table(rows)}`)
    .join('\n\n');
}

function table(rows: readonly Row[]): string {
  const header = ['command', 'with', ...versions.map(([, name]) => name)];
  const lines = [header, header.map(() => '---'), ...rows.map(cells)];
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

const situations = {
  request: 'a pending request',
  approved: 'an approved request',
  manifest: 'no request yet',
  applied: 'a request that was applied',
  nothing: '',
} as const;

function cells(row: Row): string[] {
  const command = `\`kubectl ${row.command.join(' ').replaceAll('|', '\\|')}\``;
  const outcome = (row.code ?? 0) === 0 ? 'yes' : 'refused, as it should be';
  const support = versions.map(([minor]) => {
    if (row.since === undefined || minor >= row.since[0]) return outcome;
    return `n/a: ${row.since[1]}`;
  });
  return [command, situations[row.before ?? 'request'], ...support];
}
