import { undeclaredClasses } from '../planning/declared.js';
import type { VerifierClassFact } from '../types.js';
import type { StartBy } from './start-by.js';

/** What has to be known to start a rotation without being told to. */
export type StartFacts = {
  readonly now: number;
  readonly startBy: StartBy;
  /** `rotation.automatic`: the switch for all rings. */
  readonly automatic: boolean;
  /** `rotation.rings[].automatic`: the ring's own. */
  readonly ringAutomatic: boolean;
  readonly classes: readonly VerifierClassFact[];
  readonly window: { readonly open: boolean; readonly next: number | undefined };
  /** The id of a rotation of this ring that is not over. */
  readonly running: string | undefined;
  /** The ring's last rotation, where that was turned back: it is not begun again at once. */
  readonly turnedBack: { readonly id: string; readonly until: number } | undefined;
  /** Another ring's rotation that is in a phase which needs restarts. */
  readonly restarting: string | undefined;
};

export type StartDecision = {
  readonly start: boolean;
  readonly due: boolean;
  readonly dueAt: number;
  readonly reason: StartBy['reason'];
  /** Why it is not started although it may be due, each with what would change it. Empty when it is started. */
  readonly waitsFor: readonly StartHindrance[];
};

export type StartHindrance = {
  readonly kind: 'switch' | 'classes' | 'time' | 'window' | 'running' | 'turned-back' | 'restarts';
  readonly text: string;
  /** When this passes by itself, milliseconds. */
  readonly until: number | undefined;
};

/**
 * Whether a rotation is started now by itself. Every hindrance is said and not the first alone, also before it is due, so
 * that an operator hears in time that a class is undeclared.
 */
export function decideStart(facts: StartFacts): StartDecision {
  const { now, startBy } = facts;
  const waitsFor = hindrances(facts);
  return {
    start: waitsFor.length === 0,
    due: now >= startBy.dueAt,
    dueAt: startBy.dueAt,
    reason: startBy.reason,
    waitsFor,
  };
}

function hindrances(facts: StartFacts): StartHindrance[] {
  const found: StartHindrance[] = [];
  const add = (kind: StartHindrance['kind'], text: string, until?: number): void => {
    found.push({ kind, text, until });
  };
  if (!facts.automatic) add('switch', 'rotation.automatic is false: nothing starts by itself; renewals go on');
  else if (!facts.ringAutomatic) add('switch', 'automatic is false for this ring in rotation.rings');
  const undeclared = undeclaredClasses(facts.classes, facts.now).map((fact) => fact.class);
  if (undeclared.length > 0)
    add(
      'classes',
      `nobody has said who verifies as ${undeclared.join(', ')}: register consumers, or attest that there are none`,
    );
  if (facts.now < facts.startBy.dueAt) add('time', 'it is not due', facts.startBy.dueAt);
  if (facts.running !== undefined)
    add(
      'running',
      `the rotation ${facts.running} of this ring is not over: rotunda rotation explain ${facts.running} says what it waits for`,
    );
  const { turnedBack } = facts;
  if (turnedBack !== undefined && facts.now < turnedBack.until)
    add(
      'turned-back',
      `the rotation ${turnedBack.id} was turned back: another one begins by itself not before ${new Date(turnedBack.until).toISOString().slice(0, 10)}, or when somebody starts it`,
      turnedBack.until,
    );
  if (facts.restarting !== undefined)
    add('restarts', `the ring ${facts.restarting} is in a phase that needs restarts, and only one may be at a time`);
  if (!facts.window.open) add('window', 'no maintenance window is open', facts.window.next);
  return found;
}
