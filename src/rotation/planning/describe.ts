import type { EffectKind, RingChange, Transition } from '../transitions.js';
import type { Rotation, RotationState } from '../types.js';
import { presentBundle, type Situation, unmade } from './situation.js';

type Keys = Pick<Rotation, 'ring' | 'kind' | 'oldKey' | 'newKey'>;

/** Two hexadecimal digits of each byte would fill the line. */
const shownOfKey = 12;

/** How a key is called in a plan. */
export function keyName(key: string, { oldKey, newKey }: Pick<Keys, 'oldKey' | 'newKey'>): string {
  if (key === oldKey) return 'the old one';
  return key === newKey || key === unmade ? 'the new one' : key.slice(0, shownOfKey);
}

/** What Rotunda does with one transition, in sentences without an end. */
export function whatIsDone(
  rotation: Keys,
  situation: Situation,
  by: Transition | undefined,
  change: RingChange | undefined,
): readonly string[] {
  return [
    ...(change === undefined ? [] : ofChange(rotation, situation, change)),
    ...(by?.effects ?? []).flatMap((effect) => effectTexts[effect] ?? []),
  ];
}

/** What happens where a rotation begins: not by a transition. */
export function whatBegins({ kind }: Pick<Rotation, 'kind'>, crossSigned: boolean): readonly string[] {
  if (kind === 'emergency')
    return [
      'marks the old authority as tainted, for ever, and freezes the ring: nothing is signed until there is another authority',
      'makes the new authority, which the old one does not vouch for',
    ];
  if (kind === 'reissue') return ['makes another certificate of the same key and name, which ends later'];
  if (kind === 'keys') return ['takes the public key that comes next'];
  const cross = crossSigned ? ', and has the old one vouch for it with a cross-certificate' : '';
  return [`makes the new authority, with a key, a name and a key id of its own${cross}; nobody is shown it yet`];
}

/** What a state is for. */
export function meaning({ state, back }: Pick<Rotation, 'state' | 'back'>): string {
  return back && state === 'issuing' ? 'the signer can be given back' : meanings[state];
}

const meanings: Readonly<Record<RotationState, string>> = {
  staged: 'the successor is ready, and nobody knows of it',
  trusting: 'everybody learns to trust both',
  canary: 'real connections show that the new one is trusted',
  issuing: 'leaves are replaced by ones of the new authority',
  drained: 'nothing depends on the old authority any more',
  distrusting: 'everybody forgets the old one',
  cooling: 'the old key is put away, and could still be brought back',
  finished: 'the old key is gone',
  untrusting: 'everybody forgets the new one',
  returning: 'leaves are replaced by ones of the old authority again',
  retrusting: 'everybody learns to trust the old one again',
  declared: 'nothing is signed',
  spreading: 'everybody learns to trust the new one as well',
  reissuing: 'leaves are replaced, the most powerful first',
  cut: 'whoever has not followed is cut off',
  recovering: 'who was cut off enrols again',
  'rolled-back': 'everything is as it was before',
  aborted: 'nothing had happened',
};

const effectTexts: Readonly<Partial<Record<EffectKind, string>>> = {
  'own-certificates': "renews the service's own certificates where their authority or bundle has changed",
  'published-objects': 'brings cluster-info and what else it publishes in step',
  renewals: 'moves renewal windows forward, in an order and at a rate that the service bears',
  probes: 'looks at the endpoints that it can reach',
  copies: 'reads back the copies of the bundle that others keep',
};

function ofChange(rotation: Keys, situation: Situation, change: RingChange): string[] {
  const name = (key: string): string => keyName(key, rotation);
  const texts: string[] = [];
  if (change.anchors !== undefined) {
    const generation = presentBundle(situation).generation + 1;
    const members = rotation.kind === 'reissue' ? certificates(change) : change.anchors.map(name).join(' and ');
    texts.push(`publishes bundle ${String(generation)} of ${rotation.ring}: ${members}`);
    if (change.raiseFloor === true)
      texts.push(`turns away joiners that state a bundle before ${String(generation)}, with the bundle`);
  }
  if (change.signer !== undefined)
    texts.push(`signs with ${name(change.signer)} from then on; whoever prepared under the other one starts again`);
  if (change.cross === 'none') texts.push('issues and serves chains without a cross-certificate');
  else if (change.cross !== undefined)
    texts.push('issues and serves chains with the cross-certificate by which the old one vouches for the new one');
  if (change.frozen !== undefined) texts.push(change.frozen ? 'signs nothing' : 'signs again');
  if (change.joinsHeld === true)
    texts.push(
      'holds joiners that cannot say which bundle they have (unmodified kubelets and kubectl), with a time to try again',
    );
  if (change.joinsHeld === false && situation.joinsHeld)
    texts.push('admits joiners that cannot say which bundle they have');
  if (change.withdraw !== undefined) texts.push('gives up the later certificate');
  if (change.seal !== undefined) texts.push(`seals the key of ${name(change.seal)}`);
  if (change.unseal !== undefined) texts.push(`opens the sealed key of ${name(change.unseal)}`);
  if (change.destroy !== undefined) texts.push(`erases the key of ${name(change.destroy)}, for good`);
  return texts;
}

function certificates({ certificates: which }: RingChange): string {
  if (which === 'newest') return 'the later certificate alone';
  return which === 'previous' ? 'the earlier certificate alone' : 'both certificates of the key';
}
