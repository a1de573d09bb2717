import type { Command } from 'commander';

import type { Io } from '../io.js';
import { orderVerbs } from './act.js';
import { eventsVerb } from './events.js';
import { explainVerb } from './explain.js';
import { listVerb } from './list.js';
import { planVerb } from './plan.js';
import { startVerb } from './start.js';
import { statusVerb } from './status.js';

export function rotationNoun(program: Command, io: Io): void {
  const noun = program.command('rotation').description('Replacing the authority of a ring, step by step');
  listVerb(noun, io);
  startVerb(noun, io);
  statusVerb(noun, io);
  explainVerb(noun, io);
  planVerb(noun, io);
  eventsVerb(noun, io);
  orderVerbs(noun, io);
}
