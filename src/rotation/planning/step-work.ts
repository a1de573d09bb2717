import type { Rotation, RotationState } from '../types.js';
import type { Frame } from './steps.js';
import { presentingWorkers, type Work, type WorkKind, type Workers, workOf } from './work.js';

/** What a state wants of consumers: to load a bundle with one authority more, or one less, or to present other leaves. */
const wanted: Readonly<Partial<Record<RotationState, 'learn' | 'forget' | 'replace'>>> = {
  trusting: 'learn',
  retrusting: 'learn',
  spreading: 'learn',
  distrusting: 'forget',
  untrusting: 'forget',
  cut: 'forget',
  issuing: 'replace',
  returning: 'replace',
  reissuing: 'replace',
};

const kinds: Readonly<Record<'learn' | 'forget' | 'replace', WorkKind>> = {
  // The signer's files are not to be changed, which has to be known before a bundle is written beside them.
  learn: { purposes: ['trust', 'signer'], changes: ['added', 'any'], slowest: true },
  forget: { purposes: ['trust'], changes: ['removed', 'any'], slowest: true },
  replace: { purposes: ['leaf', 'revocation'], changes: ['any'], slowest: false },
};

/** What has to be done at consumers while a state lasts. */
export function stepWork(frame: Frame, { state, back, kind, ring }: Rotation): readonly Work[] {
  const what = wanted[state];
  // On the way back this state is left at once.
  if (what === undefined || (state === 'issuing' && back)) return [];
  if (kind === 'keys')
    return what === 'replace' ? [] : workOf(ofKeys(frame.verifying), ring, ['serviceAccountKeys'], kinds[what]);
  const workers =
    what === 'replace' ? presentingWorkers(frame.leaves, frame.purposes, frame.verifying) : frame.verifying;
  return workOf(workers, ring, frame.purposes, kinds[what]);
}

/** Tokens are verified by API servers, whether or not somebody has registered them. */
function ofKeys(verifying: readonly Workers[]): readonly Workers[] {
  const name = 'kube-apiserver';
  if (verifying.some((group) => group.class === name)) return verifying;
  return [...verifying, { class: name, software: '', count: undefined, names: [] }];
}
