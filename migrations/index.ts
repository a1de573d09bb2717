import type { Migration } from 'kysely';

import * as initial from './001-initial.js';
import * as pastRequests from './002-past-requests.js';
import * as retention from './003-retention.js';
import * as tokenSecrets from './004-token-secrets.js';
import * as nodeAnnotations from './005-node-annotations.js';
import * as publishedObjects from './006-published-objects.js';
import * as rotations from './007-rotations.js';

/** Every migration there is, in order. Explicit, so that the program knows its own schema without reading a directory. */
export const migrations: Readonly<Record<string, Migration>> = {
  '001-initial': initial,
  '002-past-requests': pastRequests,
  '003-retention': retention,
  '004-token-secrets': tokenSecrets,
  '005-node-annotations': nodeAnnotations,
  '006-published-objects': publishedObjects,
  '007-rotations': rotations,
};
