import type { Mark, Rotation } from '../types.js';

/** What an endpoint has to do to show that its process has loaded a generation. */
export type ProbeGoal = {
  readonly generation: number;
  /** SKIs of the authorities whose canaries it has to take, and of those whose it has to turn away. */
  readonly accepts: readonly string[];
  readonly refuses: readonly string[];
};

/** An authority that is in the bundle and whose trust is still to be shown, and the generation that brought it in. */
export type Candidate = { readonly authority: string; readonly generation: number };

/** What probes can show in the present state, weakest first; nothing where both authorities have one key, or none is a CA's. */
export function goalsOf(rotation: Rotation): readonly ProbeGoal[] {
  const { state, marks, oldKey, newKey } = rotation;
  const candidate = candidateIn(rotation);
  if (candidate === undefined) return [];
  if (state === 'retrusting') return [{ generation: candidate.generation, accepts: [oldKey, newKey], refuses: [] }];
  const trusted = { generation: candidate.generation, accepts: [newKey], refuses: [] };
  if (state !== 'distrusting' || marks.distrusting === undefined) return [trusted];
  return [trusted, { generation: marks.distrusting.generation, accepts: [newKey], refuses: [oldKey] }];
}

/** The authority that a handshake can show to be trusted; undefined where there is nothing to show. */
export function candidateIn({ kind, state, marks, oldKey, newKey }: Rotation): Candidate | undefined {
  if (kind === 'reissue' || kind === 'keys' || oldKey === newKey) return undefined;
  const from = (mark: Mark | undefined, authority: string): Candidate | undefined =>
    mark === undefined ? undefined : { authority, generation: mark.generation };
  switch (state) {
    case 'trusting':
    case 'canary':
    case 'issuing':
    case 'drained':
    case 'distrusting':
      return from(marks.trusting, newKey);
    case 'retrusting':
      return from(marks.retrusting, oldKey);
    case 'spreading':
    case 'reissuing':
      return from(marks.spreading ?? marks.reissuing, newKey);
    default:
      return undefined;
  }
}

/** The authority that was taken out of the bundle and that nobody should believe any more; its key may still be there. */
export function retiredIn({ kind, state, marks, oldKey }: Rotation): Candidate | undefined {
  if (kind !== 'planned' || state !== 'distrusting' || marks.distrusting === undefined) return undefined;
  return { authority: oldKey, generation: marks.distrusting.generation };
}
