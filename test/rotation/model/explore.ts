import { begin, type Context, createContext, peerWord, ringWord } from './context.js';
import type { Flaws } from './flaws.js';
import { get, peer, ring } from './layout.js';
import { type Invariant, invariants } from './invariants.js';
import { horizonSteps, leafSteps } from './leaf-steps.js';
import { endStates, obstacles, type ServiceState } from './protocol.js';
import { createProjection } from './projection.js';
import { serviceSteps } from './service-steps.js';
import { firstWithoutEnd } from './reach.js';
import { initialState, type Setup, wordCount } from './setup.js';
import { createStateTable } from './state-table.js';
import { membershipSteps, reportSteps, trustSteps } from './trust-steps.js';
import { tell } from './words.js';

export type Violation = { readonly invariant: Invariant; readonly text: string; readonly trace: readonly string[] };

export type Result = {
  readonly states: number;
  readonly steps: number;
  readonly depth: number;
  readonly violation: Violation | undefined;
  readonly milliseconds: number;
};

export type Options = {
  readonly flaws?: Flaws;
  /** Which invariants end the search; all when left out. */
  readonly watch?: readonly Invariant[];
  /** Called once with what the service knows in each state. */
  readonly visit?: (known: ServiceState) => void;
  readonly most?: number;
};

/**
 * Visits every state that can be reached, breadth first, so that the first violation has a shortest trace. Throws when there
 * are more states than `most`.
 */
export function explore(setup: Setup, options: Options = {}): Result {
  const began = performance.now();
  const context = createContext(setup, options.flaws);
  const table = createStateTable(wordCount(setup));
  const project = createProjection(context);
  const watched = new Set<string>(options.watch ?? ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I11', 'I12', 'I13', 'I14']);
  const checks = invariants.filter(([name]) => watched.has(name));
  const most = options.most ?? 20_000_000;
  let found = undefined as { invariant: Invariant; text: string; at: number } | undefined;
  let at = 0;

  const look = (index: number): void => {
    for (const [name, holds] of checks) {
      const text = holds(context, context.next);
      if (text === undefined) continue;
      found = { invariant: name, text, at: index };
      return;
    }
  };
  context.take = (label, next, broken) => {
    if (found !== undefined) return;
    const index = table.add(next, at, label);
    if (index < 0) return;
    if (broken !== undefined && watched.has(broken))
      found = { invariant: broken as Invariant, text: 'the step itself', at: index };
    else look(index);
  };
  begin(context).set(initialState(setup));
  table.add(context.next, -1, 0);
  for (; at < table.size() && found === undefined; at += 1) {
    table.read(at, context.now);
    const known = project(context.now);
    options.visit?.(known);
    table.mark();
    expand(context, known);
    const text = watched.has('I13') ? wedged(context, known) : undefined;
    if (text !== undefined) found ??= { invariant: 'I13', text, at };
    if (table.size() > most) throw new Error(`${setup.title}: more than ${String(most)} states`);
  }
  if (found === undefined && watched.has('I12')) {
    const stuck = firstWithoutEnd(context, table);
    if (stuck !== undefined) found = { invariant: 'I12', ...stuck };
  }
  const violation = found && { invariant: found.invariant, text: found.text, trace: tell(context, table, found.at) };
  const depth = found === undefined ? table.depth(table.size() - 1) : table.depth(found.at);
  return { states: table.size(), steps: table.edges(), depth, violation, milliseconds: performance.now() - began };
}

function expand(context: Context, known: ServiceState): void {
  context.ableConsumers = 0;
  context.ableOld = false;
  context.ableNew = false;
  const over = endStates.includes(known.state);
  for (let index = 0; index < context.peers; index += 1) {
    membershipSteps(context, index);
    // Once it is over, what is there goes on as before its last step; only who may join is another question.
    if (over) continue;
    trustSteps(context, index);
    reportSteps(context, index);
    leafSteps(context, index);
  }
  if (context.setup.lateAnswers === true) horizonSteps(context);
  serviceSteps(context, known);
}

/** I13: a transition is offered, or each thing in its way can be named and something can be done about it. */
function wedged(context: Context, known: ServiceState): string | undefined {
  if (endStates.includes(known.state) || known.paused) return undefined;
  if (known.state === 'spreading' || known.state === 'reissuing') {
    // Time alone opens these gates, whoever is missing.
    const late = known.hour === 'deadline' || (known.state === 'spreading' && known.hour === 'half');
    if (!late) return undefined;
    return obstacles(known, context.flaws).length === 0 ? undefined : `${known.state} waits when its time is over`;
  }
  for (const obstacle of obstacles(known, context.flaws)) {
    switch (obstacle.kind) {
      case 'consumer':
        if ((context.ableConsumers & (1 << obstacle.index)) === 0)
          return `${known.state} waits for ${context.setup.peers[obstacle.index]?.name ?? ''}, and nothing can be done about it`;
        break;
      case 'certificates':
        if (!(obstacle.of === 'old' ? context.ableOld : context.ableNew) && !canRenew(context, obstacle.of))
          return `${known.state} waits for leaves of the ${obstacle.of} authority, and none can go away`;
        break;
      case 'class':
        if (context.ableConsumers === 0) return `${known.state} waits for a class, and nobody can register`;
    }
  }
  return undefined;
}

/** Somebody whose leaf is waited for can still get another one. */
function canRenew(context: Context, of: 'old' | 'new'): boolean {
  const service = ringWord(context);
  const signs = get(service, ring.era) === 2 ? 'new' : 'old';
  if (signs === of || get(service, ring.frozen) === 1) return false;
  return context.setup.peers.some((_, index) => get(peerWord(context.now, index), peer.flight) !== 0);
}
