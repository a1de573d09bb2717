import { invalid, RotundaError } from '../errors.js';
import type { Facts, Rotation, RotationState } from './types.js';

/** What a ring signs with, and which authorities its bundle holds. */
export type RingNow = Pick<Facts['ring'], 'name' | 'active' | 'anchors'>;

/** The rotation goes on as the emergency's, from `state` and away from `oldKey`. */
export type Turned = {
  readonly kind: 'turn';
  readonly state: 'declared' | 'reissuing' | 'cut';
  readonly oldKey: string;
  readonly newKey: string;
};

/** The rotation is over with `end`, and the emergency begins with an authority that is made for it. */
export type Fresh = { readonly kind: 'fresh'; readonly end: 'finished' | 'aborted' };

/** The new authority has signed nothing that anybody uses. */
const unused: readonly RotationState[] = ['staged', 'trusting', 'canary'];
const retired: readonly RotationState[] = ['distrusting', 'cooling'];

/**
 * What an emergency does with the rotation that runs in its ring, when the key `compromised` may be somebody else's too;
 * left out: the one that signs, where no other could be meant. Throws 'conflict' where it can do nothing, 'invalid' where
 * the key is not one of the ring's, or has to be named.
 */
export function takeoverOf(running: Rotation | undefined, ring: RingNow, compromised?: string): Turned | Fresh {
  if (running?.kind === 'emergency' || running?.kind === 'keys') throw impossible(running);
  const key = keyMeant(running, ring, compromised);
  // With one key, and another certificate of it, there is nobody to take over.
  if (running?.kind !== 'planned') return { kind: 'fresh', end: 'aborted' };
  if (key === running.newKey && unused.includes(running.state)) throw notYetUsed(running);
  const other = key === running.oldKey ? running.newKey : running.oldKey;
  if (ring.active === key) {
    // Retired for its age, most often, and out of the bundle: it is no successor.
    if (other === running.oldKey && retired.includes(running.state)) return { kind: 'fresh', end: 'finished' };
    return { kind: 'turn', state: 'declared', oldKey: key, newKey: other };
  }
  return { kind: 'turn', state: ring.anchors.includes(key) ? 'reissuing' : 'cut', oldKey: key, newKey: other };
}

function keyMeant(running: Rotation | undefined, ring: RingNow, compromised: string | undefined): string {
  const keys = running?.kind === 'planned' ? [running.oldKey, running.newKey] : [ring.active];
  const both = keys.length === 2 && running !== undefined && !unused.includes(running.state);
  const names = keys.map((key) => `${key} (${key === ring.active ? 'signs now' : 'does not sign now'})`).join(', ');
  const cause = (reason: 'FieldValueRequired' | 'FieldValueInvalid', message: string) =>
    invalid([
      {
        field: 'compromised',
        reason,
        message,
        hint: `rotunda rotation start ${ring.name} --emergency --compromised KEY`,
      },
    ]);
  if (compromised === undefined) {
    if (!both) return ring.active;
    throw cause('FieldValueRequired', `the ring ${ring.name} has two keys that could be meant, say which: ${names}`);
  }
  const found = keys.find((key) => key === compromised.toLowerCase());
  if (found === undefined)
    throw cause('FieldValueInvalid', `must be a key that the ring ${ring.name} has now: ${names}`);
  return found;
}

function impossible({ id, kind, state }: Rotation): RotundaError {
  return new RotundaError('conflict', `the rotation ${id} (${kind}, ${state}) cannot be turned into an emergency`, {
    hint:
      kind === 'emergency'
        ? 'it is one already; a third key is for when this one is over'
        : 'let it come to its end, or roll it back, then start another',
  });
}

function notYetUsed({ id, state }: Rotation): RotundaError {
  return new RotundaError('conflict', `the new key of the rotation ${id} has signed nothing yet: it is ${state}`, {
    hint: `rotunda rotation rollback ${id}, then start another; the old key is not concerned`,
  });
}
