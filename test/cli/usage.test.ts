import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';

import { createProgram } from '../../src/cli/main.js';
import { inProcess, rotunda } from './rotunda.js';

const io = { out: () => undefined, err: () => undefined, env: {}, input: () => Promise.resolve('') };

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

describe('usage', () => {
  it('has the nouns that people script against', () => {
    const names = createProgram(io).commands.map((command) => command.name());
    expect(names).toEqual([
      'serve',
      'ring',
      'authority',
      'bundle',
      'rotation',
      'consumer',
      'attestation',
      'request',
      'cert',
      'renewal',
      'token',
      'node',
      'etcd',
      'keyset',
      'kubernetes',
      'simulate',
      'whoami',
      'version',
    ]);
  });

  it('is explained with an example for every command', async () => {
    for (const command of leaves(createProgram(io))) {
      const path: string[] = [];
      for (let at = command; at.parent !== null; at = at.parent) path.unshift(at.name());
      const { code, out } = await inProcess([...path, '--help']);
      expect([path.join(' '), code]).toEqual([path.join(' '), 0]);
      expect(out).toContain(`rotunda ${path.join(' ')}`);
      expect(out.split('Examples:')[1]).toContain(`rotunda ${path.join(' ')}`);
    }
  });

  it.each([
    [['tokn', 'create'], "error: unknown command 'tokn'\nhint: did you mean token?\n"],
    [['token', 'crate'], "error: unknown command 'crate'\nhint: did you mean create?\n"],
    [['ring', 'list', '--servr', 'x'], "error: unknown option '--servr'\nhint: did you mean --server?\n"],
    [['ring', 'get'], "error: missing required argument 'ring'\n"],
    [['cert', 'issue', '--csr', 'x'], "error: required option '--signer <name>' not specified\n"],
    [
      ['token', 'create', '--node', 'a', '--control-plane', 'b'],
      "error: option '--node <name>' cannot be used with option '--control-plane <name>'\n",
    ],
  ])('%j is told what is wrong', async (args, message) => {
    const ran = await inProcess(args);
    expect(ran).toEqual({ code: 1, out: '', err: message });
  });

  it('prints its version', async () => {
    const { out } = await inProcess(['version', '-o', 'json']);
    expect(JSON.parse(out)).toEqual({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      node: process.version,
    });
  });

  it('reads the environment, which flags win over', async () => {
    const env = { ROTUNDA_OUTPUT: 'yaml' };
    expect((await rotunda(['version'], { env })).out).toContain(`node: ${process.version}`);
    expect((await rotunda(['version', '-o', 'name'], { env })).out).toMatch(/^version\//);
  });
});
