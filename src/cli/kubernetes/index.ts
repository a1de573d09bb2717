import type { Command } from 'commander';

import type { Io } from '../io.js';
import { attachVerb } from './attach.js';
import { detachVerb } from './detach.js';
import { statusVerb } from './status.js';

export function kubernetesNoun(program: Command, io: Io): void {
  const noun = program.command('kubernetes').description('Standing behind the API server of a cluster, by one object');
  attachVerb(noun, io);
  detachVerb(noun, io);
  statusVerb(noun, io);
}
