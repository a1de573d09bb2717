import type { Facts, Rotation, RotationState } from './types.js';

type Position = {
  readonly active: 'old' | 'new';
  /** `any`: an emergency begins with whatever was published until then. */
  readonly anchors: 'old' | 'new' | 'both' | 'any';
  readonly frozen?: boolean;
};

/** What is true of the ring in each state, whoever wrote it there. */
const positions: Readonly<Partial<Record<RotationState, Position>>> = {
  staged: { active: 'old', anchors: 'old' },
  trusting: { active: 'old', anchors: 'both' },
  canary: { active: 'old', anchors: 'both' },
  issuing: { active: 'new', anchors: 'both' },
  drained: { active: 'new', anchors: 'both' },
  distrusting: { active: 'new', anchors: 'new' },
  cooling: { active: 'new', anchors: 'new' },
  untrusting: { active: 'old', anchors: 'old' },
  returning: { active: 'old', anchors: 'both' },
  retrusting: { active: 'new', anchors: 'both' },
  declared: { active: 'old', anchors: 'any', frozen: true },
  spreading: { active: 'old', anchors: 'both', frozen: true },
  reissuing: { active: 'new', anchors: 'both' },
  cut: { active: 'new', anchors: 'new' },
  recovering: { active: 'new', anchors: 'new' },
};

/**
 * Where a rotation is by what the ring itself shows, held against where its row says that it is. Returns what does not
 * fit, in words; undefined when all does. Then the row is what is wrong, or somebody changed the ring beside the machine:
 * it must not go on from there.
 */
export function disagreement(rotation: Rotation, facts: Facts): string | undefined {
  const wanted = positions[rotation.state];
  if (wanted === undefined) return undefined;
  const { ring } = facts;
  const problems: string[] = [];
  const expect = (holds: boolean, text: string): void => {
    if (!holds) problems.push(text);
  };
  expect(
    ring.epoch === rotation.epoch,
    `the ring is in epoch ${String(ring.epoch)}, the rotation left it in ${String(rotation.epoch)}`,
  );
  if (rotation.kind !== 'reissue') {
    const key = wanted.active === 'old' ? rotation.oldKey : rotation.newKey;
    expect(ring.active === key, `the ring signs with ${ring.active} and not with ${key}`);
    for (const [who, ski] of [
      ['old', rotation.oldKey],
      ['new', rotation.newKey],
    ] as const) {
      const published = ring.anchors.includes(ski);
      const should = wanted.anchors === 'both' || wanted.anchors === who;
      expect(
        wanted.anchors === 'any' || published === should,
        `the ${who} authority ${ski} is ${published ? '' : 'not '}in bundle ${String(ring.generation)}`,
      );
    }
  }
  expect(ring.frozen === (wanted.frozen ?? false), `the ring is ${ring.frozen ? '' : 'not '}frozen`);
  return problems.length === 0 ? undefined : problems.join('; ');
}
