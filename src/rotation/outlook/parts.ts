import type { Ca } from '../../ca/types.js';
import type { Clock } from '../../clock.js';
import type { Config } from '../../config/types.js';
import type { Store } from '../../store/types.js';
import type { Rotations } from '../rotations.js';

/** What looking ahead needs of a service; nothing of it is changed. */
export type OutlookParts = {
  readonly store: Pick<Store, 'db'>;
  readonly clock: Clock;
  readonly config: Pick<Config, 'topology' | 'rotation' | 'profiles'>;
  readonly ca: Pick<Ca, 'ring' | 'bundle'>;
  readonly rotations: Pick<Rotations, 'facts' | 'list' | 'running'>;
};
