import { stringify } from 'yaml';

import { localFailure } from '../failure.js';
import type { Io } from '../io.js';
import type { Format } from '../output.js';

/** Whether data is wanted, and not text for people. Throws a local failure for formats that fit neither. */
export function isDocument(format: Format): format is 'json' | 'yaml' {
  if (format === 'json' || format === 'yaml') return true;
  if (format === 'table' || format === 'wide') return false;
  throw localFailure(`this cannot be printed as ${format}`, { hints: ['use one of table, wide, json, yaml'] });
}

export function printDocument(io: Io, format: 'json' | 'yaml', document: unknown): void {
  io.out(format === 'json' ? `${JSON.stringify(document, undefined, 2)}\n` : stringify(document, { lineWidth: 0 }));
}
