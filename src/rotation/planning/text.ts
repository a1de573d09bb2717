const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** A duration for people, milliseconds rounded up to the second of its two largest units: `41d 3h`. */
export function roughly(duration: number): string {
  const fine = units[largest(duration) + 1]?.[1] ?? 1000;
  const rounded = Math.ceil(duration / fine) * fine;
  const index = largest(rounded);
  const [name, size] = units[index] ?? (['s', 1000] as const);
  const whole = Math.floor(rounded / size);
  const next = units[index + 1];
  const rest = next === undefined ? 0 : (rounded - whole * size) / next[1];
  return `${String(whole)}${name}${next === undefined || rest === 0 ? '' : ` ${String(rest)}${next[0]}`}`;
}

/** Index of the largest unit that fits, or of the smallest. */
function largest(duration: number): number {
  const index = units.findIndex(([, size]) => duration >= size);
  return index === -1 ? units.length - 1 : index;
}

/** UTC to the minute. */
export function moment(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 16)}Z`;
}

/** Some names of many. */
export function some(names: readonly string[], count: number | undefined, most: number): string {
  const shown = names.slice(0, most).join(', ');
  const rest = count === undefined ? 0 : count - Math.min(names.length, most);
  return rest > 0 ? `${shown} and ${String(rest)} more` : shown;
}

/** `1 consumer`, `2 consumers`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${String(count)} ${count === 1 ? one : many}`;
}

/** Columns, two blanks apart, none at the end of a line. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>(
    (all, row) => row.map((cell, index) => Math.max(cell.length, all[index] ?? 0)),
    [],
  );
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Breaks a sentence at blanks; lines after the first are indented. Words that are too long stay whole. */
export function wrapped(text: string, indent: string, hanging = indent, width = 118): string[] {
  const lines: string[] = [];
  let line = indent;
  let empty = true;
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = hanging;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}
