import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { ensureBuilt } from './build.mjs';
import { ensureNativeModules } from './native.mjs';
import { root } from './run.mjs';

// `npm start`: builds what is missing, then becomes the service, in this very process, so that signals reach it.
if (ensureNativeModules() && ensureBuilt()) {
  const main = join(root, 'dist/src/main.js');
  process.argv[1] = main;
  await import(pathToFileURL(main).href);
} else {
  process.exitCode = 1;
}
