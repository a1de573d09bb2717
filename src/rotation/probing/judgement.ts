import type { ProbeAnswer, ProbeOutcome } from './types.js';

export type Verdict = { readonly outcome: ProbeOutcome; readonly detail: string };
type Answer = Pick<ProbeAnswer, 'outcome' | 'certain' | 'detail'>;

/** What an endpoint answered to the certificates of one round. */
export type Answers = {
  /** To one that nobody's bundle has an anchor for: who takes that takes any, or asks for none. */
  readonly control: Answer;
  /** To canaries, by the SKI of their authority: of the one that comes and of the one that goes. */
  readonly canaries: ReadonlyMap<string, Answer>;
};

/**
 * Why an endpoint has nothing to say about authorities: it takes whatever comes, or turns away whatever comes (as one that
 * goes by names does). Undefined where it has, and where it was not reached.
 */
export function muteReason({ control, canaries }: Answers): string | undefined {
  if (control.outcome === 'yes') return 'it takes any client certificate, or asks for none';
  if (control.outcome === 'unreachable' || canaries.size === 0) return undefined;
  return [...canaries.values()].every(({ outcome }) => outcome === 'no')
    ? 'it turned every certificate away'
    : undefined;
}

/**
 * Whether certificates of an authority are taken. That they are says something only where others are turned away, that
 * they are not only where others are taken.
 */
export function acceptanceOf(answers: Answers, ski: string): Verdict {
  const answer = tried(answers, ski);
  if (answer.outcome === 'unreachable') return unreachable(answer.detail);
  const mute = muteReason(answers) ?? unknownControl(answers);
  if (mute !== undefined) return unreachable(mute);
  if (answer.outcome === 'no' && !someAccepted(answers)) return unreachable(answer.detail);
  return { outcome: answer.outcome, detail: answer.detail };
}

/** Whether certificates of an authority are turned away: said so, or ended just as the control's was, while another's was taken. */
export function refusalOf(answers: Answers, ski: string): Verdict {
  const { outcome, detail } = acceptanceOf(answers, ski);
  if (outcome === 'yes') return { outcome: 'no', detail };
  if (outcome === 'unreachable') return unreachable(detail);
  const certain = tried(answers, ski).certain || detail === answers.control.detail;
  return certain ? { outcome: 'yes', detail } : unreachable(detail);
}

function tried({ control, canaries }: Answers, ski: string): Answer {
  const detail = control.outcome === 'unreachable' ? control.detail : 'not tried';
  return canaries.get(ski) ?? { outcome: 'unreachable', certain: false, detail };
}

function unknownControl({ control }: Answers): string | undefined {
  return control.outcome === 'unreachable'
    ? `whether it takes any certificate is not known: ${control.detail}`
    : undefined;
}

function someAccepted({ canaries }: Answers): boolean {
  return [...canaries.values()].some(({ outcome }) => outcome === 'yes');
}

function unreachable(detail: string): Verdict {
  return { outcome: 'unreachable', detail };
}
