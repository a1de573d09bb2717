import type { Rotation, RotationState } from '../types.js';

/** While one of these lasts, processes may have to be restarted to load a bundle. */
export const restartPhases: readonly RotationState[] = [
  'trusting',
  'retrusting',
  'distrusting',
  'untrusting',
  'spreading',
  'cut',
];

/** While one of these lasts, what others keep of the bundle has to lose the old authority. */
export const copyPhases: readonly RotationState[] = ['distrusting', 'cut', 'recovering'];

/** What was read back in one state says nothing about another. */
export function copyKey({ id, state }: Pick<Rotation, 'id' | 'state'>): string {
  return `${id} ${state}`;
}

/** The rotations of other rings that are in a phase which needs restarts now. An emergency waits for nobody. */
export function waitsFor(rotation: Pick<Rotation, 'id' | 'kind'>, others: readonly Rotation[]): readonly string[] {
  if (rotation.kind === 'emergency') return [];
  return others.filter(({ id, state }) => id !== rotation.id && restartPhases.includes(state)).map(({ id }) => id);
}
