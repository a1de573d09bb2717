import type { Migration } from 'kysely';

import * as initial from './001-initial.js';

/** Every migration there is, in order. Explicit, so that the program knows its own schema without reading a directory. */
export const migrations: Readonly<Record<string, Migration>> = {
  '001-initial': initial,
};
