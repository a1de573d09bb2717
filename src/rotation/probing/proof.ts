import { notShownBy, type Verified, wantedFor } from './coverage.js';
import type { ProbeGoal } from './goals.js';
import { acceptanceOf, type Answers, muteReason, refusalOf } from './judgement.js';
import type { Look } from './look.js';
import type { ProbeOutcome } from './types.js';

/** What is shown to be loaded: a generation, 0 for none of those that it could be. Undefined: nothing is, and why. */
export type ProbeProof = { readonly generation: number | undefined; readonly withheld: string | undefined };

type Asked = {
  readonly class: string;
  readonly verifies: Verified;
  readonly software: string;
  readonly endpoints: readonly string[];
};

/** How long a generation has been seen already, which is seen now, milliseconds. */
export type SeenFor = (generation: number) => number;

/**
 * What the looks at a consumer's endpoints show of the process behind them. A goal is met where every endpoint meets it and
 * they show everything for which the consumer verifies the ring; it is missed where one endpoint is seen not to meet it.
 * Where neither is so for the strongest goal, nothing is said: the weaker one would take back what other evidence has shown.
 */
export function proofOf(
  goals: readonly ProbeGoal[],
  consumer: Asked,
  looks: readonly Look[],
  seenFor: SeenFor,
): ProbeProof {
  for (const goal of goals.toReversed()) {
    const met = outcomeOf(goal, looks);
    if (met === 'no') continue;
    const forMs = met === 'yes' ? seenFor(goal.generation) : 0;
    const why = hinderedBy(consumer, looks, forMs);
    const shown = met === 'yes' && why === undefined;
    return { generation: shown ? goal.generation : undefined, withheld: why };
  }
  return { generation: goals.length === 0 ? undefined : 0, withheld: undefined };
}

/** Why what was seen shows too little, whatever it is. */
function hinderedBy(consumer: Asked, looks: readonly Look[], forMs: number): string | undefined {
  if (looks.length < consumer.endpoints.length) return 'one of its endpoints cannot be looked at';
  if (looks.some(({ several }) => several)) return 'several processes answer at one endpoint';
  const mute = looks.map(({ answers }) => answers && muteReason(answers)).find((reason) => reason !== undefined);
  if (mute !== undefined) return mute;
  const open = notShownBy(consumer, { listeners: looks.flatMap(({ listeners }) => listeners), forMs });
  if (open.length === 0) return undefined;
  return [`it does not show what it verifies for ${open.join(', ')}`, wantedFor(consumer, open) ?? []]
    .flat()
    .join(', ');
}

function outcomeOf(goal: ProbeGoal, looks: readonly Look[]): ProbeOutcome {
  const outcomes = looks.map(({ answers }) => (answers === undefined ? 'unreachable' : metBy(goal, answers)));
  if (outcomes.includes('no')) return 'no';
  return outcomes.length === 0 || outcomes.includes('unreachable') ? 'unreachable' : 'yes';
}

function metBy({ accepts, refuses }: ProbeGoal, answers: Answers): ProbeOutcome {
  const outcomes = [
    ...accepts.map((ski) => acceptanceOf(answers, ski).outcome),
    ...refuses.map((ski) => refusalOf(answers, ski).outcome),
  ];
  if (outcomes.includes('no')) return 'no';
  return outcomes.includes('unreachable') ? 'unreachable' : 'yes';
}
