import type { Work } from './apart.js';
import { explore } from './explore.js';
import { reachableServiceStates } from './service-states.js';

process.on('message', (work: Work) => {
  process.send?.(work.what === 'explore' ? explore(work.setup, work.options) : reachableServiceStates());
});
