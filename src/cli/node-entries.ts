import { readFileSync, statSync } from 'node:fs';

import { localFailure } from './failure.js';
import type { Io } from './io.js';
import { readCsv } from './node-csv.js';
import { readDocuments, readJson } from './node-documents.js';

/** One node as a file gives it, not checked yet, and where that is: `line 3`, `item 2, line 14`. */
export type Entry = { readonly where: string; readonly draft: unknown };

/** A file with a thousand manifests of a live cluster is some 20 MB. */
const mostBytes = 512 * 1024 * 1024;
/** JSON is read a hundred times faster than YAML. */
const mostYamlCharacters = 32 * 1024 * 1024;

/**
 * The nodes of a file, or of standard input for `-`: CSV, or JSON or YAML of nodes or of Kubernetes' Node objects. Which
 * one it is shows in its beginning. Throws a local failure that names the line.
 */
export async function readEntries(io: Io, file: string): Promise<readonly Entry[]> {
  const name = file === '-' ? 'standard input' : file;
  const text = stripMark(file === '-' ? await io.input() : readText(file));
  if (/[\0\uFFFD]/.test(text.slice(0, 4096)))
    throw localFailure(`${name} is not text in UTF-8`, { hints: ['save it as UTF-8'] });
  const entries = parse(name, text);
  if (entries.length === 0) throw localFailure(`there is no node in ${name}`);
  return entries;
}

function readText(file: string): string {
  try {
    if (statSync(file).size > mostBytes) throw localFailure(`${file} is larger than ${mostBytes} bytes`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'syscall' in error)
      throw localFailure(`cannot read ${file}: ${error.message}`, { cause: error });
    throw error;
  }
}

function stripMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

function parse(name: string, text: string): readonly Entry[] {
  const start = text.trimStart();
  if (start.startsWith('{') || start.startsWith('[')) return readJson(name, text);
  if (looksLikeCsv(start)) return readCsv(name, text);
  if (text.length > mostYamlCharacters) {
    throw localFailure(`${name} is too much YAML to be read in reasonable time`, {
      hints: ['give it as JSON: kubectl get nodes -o json'],
    });
  }
  return readDocuments(name, text);
}

/** A first line of words and commas or semicolons is a header; YAML has a colon, a dash or a comment there. */
function looksLikeCsv(text: string): boolean {
  const [first = ''] = text.split(/\r?\n/, 1);
  return /^["\w][\w\s,;"\t-]*$/.test(first) && !first.startsWith('---');
}
