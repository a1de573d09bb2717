import type { AltName } from '../../ca/x509/types.js';

/** What a shell takes as it is, so that nobody runs what a requester wrote into a name. */
const plain = /^[A-Za-z0-9][A-Za-z0-9.:-]*$/;

/** The command that enrols these names for a node beside what it has; undefined where a name is none to enrol. */
export function addNamesCommand(node: string, names: readonly AltName[]): string | undefined {
  return commandOf(`rotunda node update ${node}`, [node], names, { ip: '--add-address', dns: '--add-dns' });
}

/** The command that enrols a node with these names; undefined where one is none to enrol. */
export function enrolCommand(node: string, names: readonly AltName[]): string | undefined {
  const others = names.filter(({ kind, value }) => kind !== 'dns' || value.toLowerCase() !== node.toLowerCase());
  return commandOf(`rotunda node create ${node}`, [node], others, { ip: '--address', dns: '--dns' });
}

function commandOf(
  command: string,
  words: readonly string[],
  names: readonly AltName[],
  flags: Readonly<Record<'ip' | 'dns', string>>,
): string | undefined {
  const parts = [command];
  for (const { kind, value } of names) {
    if (kind !== 'ip' && kind !== 'dns') return undefined;
    parts.push(flags[kind], value);
  }
  return [...words, ...names.map(({ value }) => value)].every((word) => plain.test(word)) ? parts.join(' ') : undefined;
}
