/** What a careful reading of a JSON text finds; `error` is worded as Go's encoding/json words it. */
export type JsonScan = { readonly error?: string; readonly duplicates: readonly string[] };

type Cursor = { readonly text: string; at: number; depth: number; readonly duplicates: string[] };

/** Go reads ten times as deep; nothing sound is, and what looks through a value here does so by recursion. */
const maxDepth = 1000;
/** Characters. Texts that are shorter, as those of kubelets are, cannot be so deep that it matters. */
const shallow = 4096;
const endOfInput = 'unexpected end of JSON input';

/** Thrown inside this file only, to leave the recursion. */
class ScanError extends Error {}

/**
 * Reads a JSON text again, slowly: for the wording of a syntax error, and for keys that appear twice in one object
 * (`JSON.parse` keeps the last one silently). Paths of duplicates look like `spec.usages[0].x`.
 */
export function scanJson(text: string): JsonScan {
  const cursor: Cursor = { text, at: 0, depth: 0, duplicates: [] };
  try {
    value(cursor, '', 'looking for beginning of value');
    space(cursor);
    if (cursor.at < text.length) fail(cursor, 'after top-level value');
    return { duplicates: cursor.duplicates };
  } catch (error) {
    if (error instanceof ScanError) return { error: error.message, duplicates: cursor.duplicates };
    throw error;
  }
}

/** Whether arrays and objects are nested deeper than anything here follows. Exact for valid JSON. */
export function isTooDeep(text: string): boolean {
  if (text.length < shallow) return false;
  let depth = 0;
  for (const [found] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (found === '[' || found === '{') depth += 1;
    else if (found === ']' || found === '}') depth -= 1;
    if (depth > maxDepth) return true;
  }
  return false;
}

/** Whether some object of the text may have a key twice: exact when it says no. `keys` is how many the parsed value has. */
export function mayHaveDuplicates(text: string, keys: number): boolean {
  return (text.match(/"\s*:/g)?.length ?? 0) !== keys;
}

function fail(cursor: Cursor, context: string): never {
  const char = cursor.text.at(cursor.at);
  if (char === undefined) throw new ScanError(endOfInput);
  throw new ScanError(`invalid character ${quoteChar(cursor.text.codePointAt(cursor.at) ?? 0)} ${context}`);
}

function quoteChar(code: number): string {
  if (code === 39) return `'\\''`;
  if (code === 34) return `'"'`;
  if (code === 92) return `'\\\\'`;
  const named: Readonly<Record<number, string>> = {
    7: '\\a',
    8: '\\b',
    9: '\\t',
    10: '\\n',
    11: '\\v',
    12: '\\f',
    13: '\\r',
  };
  const special = named[code];
  if (special !== undefined) return `'${special}'`;
  if (code < 32 || code === 127) return `'\\x${code.toString(16).padStart(2, '0')}'`;
  return `'${String.fromCodePoint(code)}'`;
}

function space(cursor: Cursor): void {
  for (;;) {
    const code = cursor.text.charCodeAt(cursor.at);
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
    cursor.at += 1;
  }
}

function value(cursor: Cursor, path: string, context: string): void {
  space(cursor);
  const char = cursor.text[cursor.at];
  if (char === '{') nested(cursor, () => object(cursor, path));
  else if (char === '[') nested(cursor, () => array(cursor, path));
  else if (char === '"') string(cursor);
  else if (char === 't') literal(cursor, 'true');
  else if (char === 'f') literal(cursor, 'false');
  else if (char === 'n') literal(cursor, 'null');
  else if (char === '-' || (char !== undefined && char >= '0' && char <= '9')) number(cursor);
  else fail(cursor, context);
}

function nested(cursor: Cursor, read: () => void): void {
  cursor.depth += 1;
  if (cursor.depth > maxDepth) throw new ScanError('exceeded max depth');
  read();
  cursor.depth -= 1;
}

function object(cursor: Cursor, path: string): void {
  const seen = new Set<string>();
  cursor.at += 1;
  space(cursor);
  if (cursor.text[cursor.at] === '}') {
    cursor.at += 1;
    return;
  }
  for (;;) {
    space(cursor);
    if (cursor.text[cursor.at] !== '"') fail(cursor, 'looking for beginning of object key string');
    const key = string(cursor);
    const field = path === '' ? key : `${path}.${key}`;
    if (seen.has(key)) cursor.duplicates.push(field);
    seen.add(key);
    space(cursor);
    if (cursor.text[cursor.at] !== ':') fail(cursor, 'after object key');
    cursor.at += 1;
    value(cursor, field, 'looking for beginning of value');
    space(cursor);
    const next = cursor.text[cursor.at];
    if (next !== ',' && next !== '}') fail(cursor, 'after object key:value pair');
    cursor.at += 1;
    if (next === '}') return;
  }
}

function array(cursor: Cursor, path: string): void {
  cursor.at += 1;
  space(cursor);
  if (cursor.text[cursor.at] === ']') {
    cursor.at += 1;
    return;
  }
  for (let index = 0; ; index += 1) {
    value(cursor, `${path}[${String(index)}]`, 'looking for beginning of value');
    space(cursor);
    const next = cursor.text[cursor.at];
    if (next !== ',' && next !== ']') fail(cursor, 'after array element');
    cursor.at += 1;
    if (next === ']') return;
  }
}

function literal(cursor: Cursor, word: string): void {
  for (let i = 0; i < word.length; i += 1) {
    if (cursor.text[cursor.at] !== word[i]) fail(cursor, `in literal ${word} (expecting '${word[i] ?? ''}')`);
    cursor.at += 1;
  }
}

function number(cursor: Cursor): void {
  if (cursor.text[cursor.at] === '-') cursor.at += 1;
  if (cursor.text[cursor.at] === '0') cursor.at += 1;
  else digits(cursor, 'in numeric literal');
  if (cursor.text[cursor.at] === '.') {
    cursor.at += 1;
    digits(cursor, 'after decimal point in numeric literal');
  }
  if (cursor.text[cursor.at] === 'e' || cursor.text[cursor.at] === 'E') {
    cursor.at += 1;
    if (cursor.text[cursor.at] === '+' || cursor.text[cursor.at] === '-') cursor.at += 1;
    digits(cursor, 'in exponent of numeric literal');
  }
}

function digits(cursor: Cursor, context: string): void {
  const start = cursor.at;
  while (/[0-9]/.test(cursor.text[cursor.at] ?? '')) cursor.at += 1;
  if (cursor.at === start) fail(cursor, context);
}

function string(cursor: Cursor): string {
  const start = cursor.at;
  cursor.at += 1;
  for (;;) {
    const char = cursor.text[cursor.at];
    if (char === undefined) throw new ScanError(endOfInput);
    if (char === '"') break;
    if (char < ' ') fail(cursor, 'in string literal');
    if (char === '\\') escape(cursor);
    else cursor.at += 1;
  }
  cursor.at += 1;
  return JSON.parse(cursor.text.slice(start, cursor.at)) as string;
}

function escape(cursor: Cursor): void {
  cursor.at += 1;
  const char = cursor.text[cursor.at];
  if (char === 'u') {
    for (let i = 0; i < 4; i += 1) {
      cursor.at += 1;
      if (!/[0-9a-fA-F]/.test(cursor.text[cursor.at] ?? '')) fail(cursor, 'in \\u hexadecimal character escape');
    }
  } else if (char === undefined || !'"\\/bfnrt'.includes(char)) fail(cursor, 'in string escape code');
  cursor.at += 1;
}
