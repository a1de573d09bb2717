import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { inProcess } from '../cli/rotunda.js';
import { describeWithPeer, type PeerName, requirePeer } from '../support/peers.js';
import { startTestService, type TestService } from '../support/service.js';

const run = promisify(execFile);

let rotunda: TestService;
let home: string;

beforeAll(async () => {
  rotunda = await startTestService();
  home = mkdtempSync(path.join(tmpdir(), 'rotunda-kubectl-nodes-'));
});

afterAll(async () => {
  await rotunda.stop();
  rmSync(home, { recursive: true, force: true });
});

const envOf = (): NodeJS.ProcessEnv => ({ ...process.env, HOME: home, KUBECONFIG: rotunda.kubeconfig });
const cacheOf = (binary: PeerName): string => `--cache-dir=${path.join(home, binary)}`;

/** What it printed; throws when it fails. */
async function kubectl(binary: PeerName, ...args: readonly string[]): Promise<string> {
  const flags = [cacheOf(binary), '--request-timeout=20s'];
  const { stdout } = await run(requirePeer(binary), [...args, ...flags], { env: envOf(), timeout: 40_000 });
  return stdout;
}

function file(name: string, spec: object): string {
  const at = path.join(home, `${name}.json`);
  const object = { apiVersion: 'rotunda.dev/v1', kind: 'Node', metadata: { name, labels: { rack: 'a' } }, spec };
  writeFileSync(at, JSON.stringify(object));
  return at;
}

describe.each([
  ['kubectl', 'new', true],
  // It validates by /openapi/v2, which is not served.
  ['kubectlDebian', 'debian', false],
] as const)('%s', (binary, prefix, validates) => {
  const lenient = validates ? [] : ['--validate=false'];

  describeWithPeer(binary, 'manages enrolled machines', () => {
    it('creates, applies, changes and deletes', async () => {
      const name = `${prefix}-1`;
      expect(
        await kubectl(binary, 'create', '-f', file(name, { addresses: ['10.0.0.1'] }), '--save-config', ...lenient),
      ).toBe(`node.rotunda.dev/${name} created\n`);
      const changed = file(name, { addresses: ['10.0.0.1', '10.0.0.2'], dnsNames: [`${name}.example.org`] });
      expect(await kubectl(binary, 'apply', '-f', changed, ...lenient)).toBe(`node.rotunda.dev/${name} configured\n`);
      expect(await kubectl(binary, 'apply', '-f', changed, ...lenient)).toBe(`node.rotunda.dev/${name} unchanged\n`);
      expect(await kubectl(binary, 'label', 'nodes.rotunda.dev', name, 'zone=z1')).toContain('labeled');
      expect(await kubectl(binary, 'annotate', 'nodes.rotunda.dev', name, 'note=x')).toContain('annotated');
      const table = await kubectl(binary, 'get', 'nodes.rotunda.dev', '-o', 'wide', '-l', 'zone=z1');
      expect(table).toMatch(/^NAME +STATE +ADDRESSES +DNS NAMES +JOINED +AGE\n/);
      expect(table).toMatch(new RegExp(`${name} +expected +10.0.0.1,10.0.0.2 +${name}.example.org +<none> +\\d+s\n`));
      expect(
        await kubectl(binary, 'patch', 'nodes.rotunda.dev', name, '--type=merge', '-p', '{"spec":{"disabled":true}}'),
      ).toContain('patched');
      expect(await kubectl(binary, 'get', `nodes.rotunda.dev/${name}`, '-o', 'jsonpath={.status.state}')).toBe(
        'disabled',
      );
      const listed = await inProcess(['node', 'get', name, '-o', 'json', '--kubeconfig', rotunda.kubeconfig]);
      expect(JSON.parse(listed.out)).toMatchObject({ state: 'disabled', labels: { rack: 'a', zone: 'z1' } });
      expect(await kubectl(binary, 'describe', 'nodes.rotunda.dev', name)).toContain('Disabled:  true');
      expect(await kubectl(binary, 'delete', 'nodes.rotunda.dev', '-l', 'zone=z1')).toContain(`"${name}" deleted`);
    }, 120_000);

    it('watches', async () => {
      const name = `${prefix}-2`;
      await kubectl(binary, 'create', '-f', file(name, {}), ...lenient);
      const child = spawn(requirePeer(binary), ['get', 'nodes.rotunda.dev', name, '-w', cacheOf(binary)], {
        env: envOf(),
      });
      let seen = '';
      child.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
      const until = async (text: RegExp): Promise<void> => {
        for (let attempt = 0; attempt < 200 && !text.test(seen); attempt += 1)
          await new Promise((resolve) => setTimeout(resolve, 100));
        expect(seen).toMatch(text);
      };
      await until(/expected/);
      await inProcess(['node', 'disable', name, '--kubeconfig', rotunda.kubeconfig]);
      await until(/disabled/);
      child.kill();
    }, 60_000);

    it('prints what `rotunda node import` takes', async () => {
      const name = `${prefix}-3`;
      await kubectl(
        binary,
        'create',
        '-f',
        file(name, { addresses: [validates ? '10.0.3.1' : '10.0.3.2'] }),
        ...lenient,
      );
      const yaml = await kubectl(binary, 'get', 'nodes.rotunda.dev', '-o', 'yaml');
      const ran = await inProcess(['node', 'import', '-f', '-', '--kubeconfig', rotunda.kubeconfig], { input: yaml });
      expect([ran.code, ran.err]).toEqual([
        0,
        expect.stringMatching(/^0 created, 0 updated, \d unchanged\n$/) as string,
      ]);
    }, 60_000);
  });
});

describeWithPeer('kubectl', 'a current kubectl', () => {
  it('explains, applies on the server, compares, and waits', async () => {
    expect(await kubectl('kubectl', 'explain', 'nodes.rotunda.dev.spec')).toMatch(
      /addresses\t<\[\]string>[^]*disabled\t<boolean>/,
    );
    const at = file('late-1', { addresses: ['10.0.4.1'] });
    expect(await kubectl('kubectl', 'apply', '--server-side', '-f', at)).toBe(
      'node.rotunda.dev/late-1 serverside-applied\n',
    );
    expect(await kubectl('kubectl', 'diff', '-f', at)).toBe('');
    const waiting = kubectl(
      'kubectl',
      'wait',
      'nodes.rotunda.dev/late-1',
      '--for=jsonpath={.status.state}=joined',
      '--timeout=20s',
    );
    const { store, nodes } = rotunda.service.context;
    await store.write((tx) => nodes.joined(tx, 'late-1', Date.now()));
    expect(await waiting).toBe('node.rotunda.dev/late-1 condition met\n');
    const joined = await kubectl(
      'kubectl',
      'get',
      'nodes.rotunda.dev',
      '--field-selector',
      'status.state=joined',
      '-o',
      'name',
    );
    expect(joined).toBe('node.rotunda.dev/late-1\n');
    const unknown = file('late-2', { rack: 'a' });
    await expect(kubectl('kubectl', 'create', '-f', unknown)).rejects.toThrow('unknown field "spec.rack"');
  }, 120_000);
});
