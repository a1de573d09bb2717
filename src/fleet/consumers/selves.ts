import type { Identity } from '../../identity/types.js';
import type { ConsumerRow } from '../../store/queries/consumers.js';

/** The consumer that a certificate's holder is, whatever else runs on its machine. */
export function ownConsumerOf({
  kind,
  node,
  member,
}: Identity): { readonly name: string; readonly class: string; readonly node?: string } | undefined {
  if (kind !== 'certificate') return undefined;
  if (node !== undefined) return { name: `kubelet/${node}`, class: 'kubelet', node };
  if (member === undefined) return undefined;
  return { name: `etcd-member/${member.cluster}/${member.name}`, class: 'etcd-member' };
}

/** Whether the caller is this consumer: the member of its name, or the machine that it is registered to run on. */
export function isItself(identity: Identity, { name, node }: Pick<ConsumerRow, 'name' | 'node'>): boolean {
  const own = ownConsumerOf(identity);
  return own !== undefined && (own.name === name || (own.node !== undefined && own.node === node));
}
