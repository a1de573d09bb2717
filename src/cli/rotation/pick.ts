import type { RotationView } from '../../api/rest/rotation-views.js';
import { type Client, pathOf } from '../client.js';
import { localFailure } from '../failure.js';

/** What every verb that takes a rotation says of its argument. */
export const idText = 'id, or the ring; may be left out while exactly one rotation runs';

/** The path of the rotation that is meant. Throws a local failure where it is not said and not plain which one that is. */
export async function pathOfRotation(client: Client, id: string | undefined): Promise<string> {
  return `/rotations${pathOf(id ?? (await theRunning(client)))}`;
}

async function theRunning(client: Client): Promise<string> {
  const running = await client.list<RotationView>('/rotations', { running: 'true' });
  const [only] = running;
  if (only === undefined)
    throw localFailure('no rotation is running', {
      hints: [
        'rotunda rotation list shows those that are over',
        'rotunda rotation start RING --dry-run shows what one would do',
      ],
    });
  if (running.length === 1) return only.id;
  throw localFailure('several rotations are running: which one is meant?', {
    hints: [`give one of ${running.map((rotation) => rotation.id).join(', ')}`],
  });
}
