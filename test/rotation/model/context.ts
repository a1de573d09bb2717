import type { RotationState } from '../../../src/rotation/types.js';
import { flawless, type Flaw, type Flaws } from './flaws.js';
import { get, ring, states, type Words } from './layout.js';
import { type Setup, wordCount } from './setup.js';

export const steps = [
  'fetch',
  'load',
  'send',
  'receive',
  'report',
  'handshake',
  'forge',
  'ask',
  'sign',
  'abandon',
  'deliver',
  'reload',
  'seen',
  'record',
  'stale-report',
  'sign-old',
  'expire',
  'horizon',
  'admit',
  'rebuild',
  'die',
  'quarantine',
  'return',
  'register',
  'move',
  'decide',
  'commit',
  'crash',
  'pause',
  'resume',
  'hour',
  'certificate-expires',
  'declare',
] as const;
export type StepName = (typeof steps)[number];

const stepNumbers = Object.freeze(Object.fromEntries(steps.map((step, number) => [step, number]))) as Readonly<
  Record<StepName, number>
>;

/** A step as a number: which, of whom, and one argument more. */
function stepLabel(step: StepName, index: number, argument: number): number {
  return stepNumbers[step] | (index << 6) | (argument << 10);
}

export function readLabel(label: number): { step: StepName; index: number; argument: number } {
  return { step: steps[label & 63] ?? 'move', index: (label >>> 6) & 15, argument: label >>> 10 };
}

/** Takes one state after another: `broken` names an invariant of the step itself that it does not keep. */
export type Take = (label: number, next: Words, broken: string | undefined) => void;

/** One expansion of one state: what is read, and where each next state is put together. */
export type Context = {
  readonly setup: Setup;
  readonly flaws: Flaws;
  readonly peers: number;
  readonly now: Words;
  readonly next: Words;
  take: Take;
  /** Peers that can do something about what the service waits for from them, and leaves that can go away. */
  ableConsumers: number;
  ableOld: boolean;
  ableNew: boolean;
};

export function createContext(setup: Setup, flaws: Flaws = flawless): Context {
  const size = wordCount(setup);
  return {
    setup,
    flaws,
    peers: setup.peers.length,
    now: new Int32Array(size),
    next: new Int32Array(size),
    take: () => undefined,
    ableConsumers: 0,
    ableOld: false,
    ableNew: false,
  };
}

export function has(context: Context, flaw: Flaw): boolean {
  return context.flaws[flaw] === true;
}

export function peerWord(words: Words, index: number): number {
  return words[index] ?? 0;
}

export function ringWord(context: Context, words: Words = context.now): number {
  return words[context.peers] ?? 0;
}

export function worldWord(context: Context, words: Words = context.now): number {
  return words[context.peers + 1] ?? 0;
}

export function extraWord(context: Context, words: Words = context.now): number {
  return words[context.peers + 2] ?? 0;
}

/** The next state begins as the present one. */
export function begin({ now, next }: Context): Words {
  for (let index = 0; index < now.length; index += 1) next[index] = now[index] ?? 0;
  return next;
}

export function emit(context: Context, step: StepName, index: number, argument = 0, broken?: string): void {
  context.take(stepLabel(step, index, argument), context.next, broken);
}

/** The next state with another word for one peer. */
export function emitPeer(context: Context, step: StepName, index: number, word: number, argument = 0): void {
  begin(context)[index] = word;
  emit(context, step, index, argument);
}

export function stateOf(context: Context, words: Words = context.now): RotationState {
  return states[get(ringWord(context, words), ring.state)] ?? 'aborted';
}
