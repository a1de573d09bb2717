import { columns, counted, moment, roughly, some, wrapped } from '../planning/text.js';
import type { EmergencyRadius } from './blast-radius.js';

const indent = '  ';
const mostShown = 5;

/** Who would be cut off, for a terminal. */
export function renderRadius(radius: EmergencyRadius, now: number): string {
  const { ring, authority, deadline, takesOver, turns } = radius;
  const turned =
    takesOver === undefined
      ? []
      : [
          turns
            ? `The rotation ${takesOver.id} (${takesOver.state}) is turned into it, with the other authority that it has.`
            : `The rotation ${takesOver.id} (${takesOver.state}) ends with it, and another authority is made.`,
        ];
  return [
    `An emergency of ${ring}: the key ${authority} is tainted for ever, and nothing is signed with it from the start on.`,
    ...turned,
    `At ${moment(deadline)}, in ${roughly(Math.max(0, deadline - now))}, whoever has not followed is cut off:`,
    '',
    ...leaves(radius),
    '',
    ...verifiers(radius),
    '',
    'There is no way back: the old key never signs again.',
    '',
  ].join('\n');
}

function leaves({ leaves: { total, exact, groups } }: EmergencyRadius): string[] {
  if (total === 0) return ['No certificate of the old authority is in use.'];
  const many = `${exact ? '' : 'at least '}${counted(total, 'certificate', 'certificates')}`;
  const rows = groups.map(({ profile, count, names, latestNotAfter }) => [
    `${indent}${profile}`,
    String(count),
    moment(latestNotAfter),
    some(names, count, mostShown),
  ]);
  return [
    `Certificates that have to be issued anew: ${many}.`,
    ...columns([[`${indent}PROFILE`, 'COUNT', 'LAST ENDS', 'OF'], ...rows]),
  ];
}

function verifiers({ verifiers: { total, behind, silent, undeclared } }: EmergencyRadius): string[] {
  const line = (what: string, names: readonly string[], count: number): string[] =>
    count === 0
      ? []
      : wrapped(`${String(count)} ${what}: ${some(names, count, 2 * mostShown)}`, indent, `${indent}${indent}`);
  return [
    `Verifiers that have to load the new authority: ${String(total)} that are known.`,
    ...line('silent', silent.names, silent.count),
    ...line('not known to have loaded the present bundle', behind.names, behind.count),
    ...(undeclared.length === 0
      ? []
      : wrapped(`Nobody has said who there is of: ${undeclared.join(', ')}; whether they follow is not seen.`, indent)),
  ];
}
