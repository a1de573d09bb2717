import { z } from 'zod';

import type { Context } from '../../context.js';
import { RotundaError } from '../../errors.js';
import type { Rotation } from '../../rotation/types.js';
import { nameText } from './schemas.js';

export const rotationParams = z.strictObject({
  rotation: nameText.meta({
    description: 'Its id; the name of a ring stands for its running rotation, or its last one',
  }),
});

/** Throws RotundaError 'not-found'. */
export async function findRotation({ rotations }: Pick<Context, 'rotations'>, name: string): Promise<Rotation> {
  try {
    return await rotations.get(name);
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'not-found') throw error;
    const running = (await rotations.running()).find(({ ring }) => ring === name);
    const [last] = running === undefined ? await rotations.list({ ring: name, limit: 1 }) : [running];
    if (last === undefined) throw error;
    return last;
  }
}
