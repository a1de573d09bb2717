import type { RotationEventView } from '../../api/rest/rotation-history.js';
import type { RotationView } from '../../api/rest/rotation-views.js';
import { age, type View } from '../output.js';

export const rotationTable: View<RotationView> = {
  kind: 'rotation',
  name: (rotation) => rotation.id,
  columns: [
    { title: 'ID', value: (rotation) => rotation.id },
    { title: 'RING', value: (rotation) => rotation.ring },
    { title: 'KIND', value: (rotation) => rotation.kind },
    { title: 'STATE', value: stateText },
    { title: 'FOR', value: ({ finishedAt, stateSince }) => (finishedAt === undefined ? age(stateSince) : '-') },
    { title: 'AGE', value: (rotation) => age(rotation.startedAt) },
    { title: 'POLICY', wide: true, value: (rotation) => rotation.policy },
    { title: 'OLD', wide: true, value: (rotation) => rotation.oldKey },
    { title: 'NEW', wide: true, value: (rotation) => rotation.newKey },
    { title: 'STARTED BY', wide: true, value: (rotation) => rotation.startedBy },
    { title: 'REASON', wide: true, value: (rotation) => rotation.reason },
  ],
};

export const eventTable: View<RotationEventView> = {
  kind: 'event',
  name: (event) => String(event.sequence),
  columns: [
    { title: 'TIME', value: (event) => event.at },
    { title: 'KIND', value: (event) => event.kind },
    { title: 'WHAT', value: eventText },
    { title: 'BY', value: (event) => event.actor },
    { title: 'NUMBER', wide: true, value: (event) => String(event.sequence) },
    { title: 'DETAIL', wide: true, value: (event) => JSON.stringify(event.detail) },
  ],
};

/** With what keeps it where it is, if anything but a gate does. */
export function stateText({ state, paused, back, disagreement, finishedAt }: RotationView): string {
  if (finishedAt !== undefined) return state;
  const notes = [
    ...(disagreement === undefined ? [] : ['stopped']),
    ...(paused ? ['paused'] : []),
    ...(back ? ['back'] : []),
  ];
  return notes.length === 0 ? state : `${state} (${notes.join(', ')})`;
}

/** One event in a line, without its time. */
export function eventText({ kind, from, to, detail }: RotationEventView): string {
  const said = (key: string): string => (typeof detail[key] === 'string' ? detail[key] : '');
  const reason = said('reason') === '' ? '' : `: ${said('reason')}`;
  if (kind === 'transition') return `${from} -> ${to}${reason}`;
  if (kind === 'operator') return `${said('verb')} while ${from}${reason}`;
  return kind === 'disagreement' ? `stopped in ${to}: ${said('problem')}` : `${kind} in ${to}`;
}
