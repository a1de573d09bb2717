import type { ConsumerView } from '../api/rest/consumers.js';
import { age, joined, until, type View } from './output.js';

type RingView = ConsumerView['rings'][number];

export const consumerColumns: View<ConsumerView> = {
  kind: 'consumer',
  name: (consumer) => consumer.name,
  columns: [
    { title: 'NAME', value: (consumer) => consumer.name },
    { title: 'STATE', value: (consumer) => consumer.state },
    { title: 'LOADED', value: ({ rings }) => joined(rings.filter(({ verifies }) => verifies).map(loaded)) },
    { title: 'LAST SEEN', value: ({ lastSeenAt }) => (lastSeenAt === undefined ? 'never' : age(lastSeenAt)) },
    { title: 'SOURCE', wide: true, value: (consumer) => consumer.source },
    { title: 'NODE', wide: true, value: (consumer) => consumer.node },
    { title: 'ENDPOINTS', wide: true, value: ({ endpoints }) => joined(endpoints) },
    { title: 'SOFTWARE', wide: true, value: (consumer) => consumer.software },
    { title: 'ENDS IN', wide: true, value: ({ expiresAt }) => until(expiresAt) },
  ],
};

/** `kubernetes:2/3(self-report)`; with `?` where the evidence does not count. */
function loaded({ ring, loaded: has, current, evidence, counts, joiner }: RingView): string {
  const how = [...(evidence === undefined ? [] : [counts ? evidence : `${evidence}?`]), ...(joiner ? ['joiner'] : [])];
  return `${ring}:${String(has)}/${String(current)}${how.length === 0 ? '' : `(${how.join(' ')})`}`;
}
