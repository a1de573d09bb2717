import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';

import { createProgram } from '../../src/cli/main.js';
import { inProcess } from './rotunda.js';

const io = { out: () => undefined, err: () => undefined, env: {}, input: () => Promise.resolve('') };
const program = createProgram(io);

/** Where the service tells people which command helps. */
const rooms = [
  'src/rotation',
  'src/fleet',
  'src/ca',
  'src/csr',
  'src/identity',
  'src/api',
  'src/service',
  'src/attach',
];

type Named = { readonly file: string; readonly text: string; readonly words: readonly string[] };

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.join(directory, name));
}

/** Every command that a text of a file names: all between `rotunda` and the end of its string or sentence. */
function commandsIn(file: string): Named[] {
  const source = readFileSync(file, 'utf8').replaceAll(/\$\{[^}]*\}/g, 'X');
  return [...source.matchAll(/(?<![-@./\w])rotunda ([a-z][a-z-]+ [a-z-]+[^'"`\\\n|>&;,:()]*)/g)]
    .map(([, text = '']) => ({ file, text, words: text.trim().split(/\s+/) }))
    .filter(({ words: [noun] }) => program.commands.some((command) => command.name() === noun));
}

/** The command itself, what follows it, and how many of that are nothing but its arguments. */
function resolved(words: readonly string[]): { command: Command; rest: readonly string[] } | undefined {
  let command: Command = program;
  let rest = words;
  while (command.commands.length > 0) {
    const found = command.commands.find((one) => one.name() === rest[0]);
    if (found === undefined) return undefined;
    command = found;
    rest = rest.slice(1);
  }
  return { command, rest };
}

/** `X`, `NAME`, `HOST:PORT`, `main/m1`: what stands for a value, and no prose. */
const isValue = (word: string | undefined): boolean => word !== undefined && /^([A-Z][A-Z:/X]*|\S*X\S*)$/.test(word);

const named = rooms.flatMap(filesBelow).flatMap(commandsIn);

describe('what helps', () => {
  it('is found in the texts of gates', () => {
    const gates = named.filter(({ file }) => file.includes('rotation/gates'));
    const commands = new Set(gates.map(({ words }) => words.slice(0, 2).join(' ')));
    expect([...commands].sort()).toEqual([
      ...['attestation create', 'cert list', 'cert revoke', 'cert supersede', 'consumer acknowledge', 'consumer get'],
      ...['consumer quarantine', 'consumer register', 'rotation advance', 'rotation explain', 'rotation rollback'],
      'token revoke',
    ]);
  });

  it.each(named.map(({ file, text, words }) => [text.trim(), file, words] as const))(
    'rotunda %s is a command (%s)',
    async (_text, _file, words) => {
      const found = resolved(words);
      expect(found).toBeDefined();
      if (found === undefined) return;
      const { command, rest } = found;
      const flags = rest.filter((word) => word.startsWith('--'));
      const known = [...command.options, ...program.options].map(({ long }) => long);
      expect(known).toEqual(expect.arrayContaining(flags));
      const mandatory = command.options.filter((option) => option.mandatory).map(({ long }) => long);
      // A text that gives flags is there to be pasted; one that gives none only says where to look.
      if (flags.length > 0) expect(flags).toEqual(expect.arrayContaining(mandatory));
      const values = rest.slice(
        0,
        rest.findIndex((word) => !isValue(word)) === -1 ? undefined : rest.findIndex((word) => !isValue(word)),
      );
      const wanted = command.registeredArguments.filter(({ required }) => required).length;
      if (flags.length > 0 || values.length > 0) expect(values.length).toBeGreaterThanOrEqual(wanted);
      const names: string[] = [];
      for (let at = command; at.parent !== null; at = at.parent) names.unshift(at.name());
      expect((await inProcess([...names, '--help'])).code).toBe(0);
    },
  );
});
