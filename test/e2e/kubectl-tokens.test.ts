import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';

import { describeWithPeer, type PeerName, requirePeer } from '../support/peers.js';
import { startTestService, type TestService } from '../support/service.js';

const run = promisify(execFile);

let rotunda: TestService;
let home: string;

beforeAll(async () => {
  rotunda = await startTestService();
  home = mkdtempSync(path.join(tmpdir(), 'rotunda-kubectl-tokens-'));
});
afterAll(async () => {
  await rotunda.stop();
  rmSync(home, { recursive: true, force: true });
});

type Ran = { readonly out: string; readonly failed: boolean };

async function kubectl(binary: PeerName, ...args: string[]): Promise<Ran> {
  const env = { ...process.env, HOME: home, KUBECONFIG: rotunda.kubeconfig };
  const flags = [`--cache-dir=${path.join(home, binary)}`, '--request-timeout=15s', '-n', 'kube-system'];
  try {
    const { stdout, stderr } = await run(requirePeer(binary), [...args, ...flags], { env, timeout: 60_000 });
    return { out: stdout + stderr, failed: false };
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return { out: stdout + stderr, failed: true };
  }
}

function manifest(id: string, strings: Readonly<Record<string, string>> = {}): string {
  const file = path.join(home, `${id}.yaml`);
  const name = `bootstrap-token-${id}`;
  const stringData = {
    'token-id': id,
    'token-secret': '0123456789abcdef',
    expiration: new Date(Date.now() + 3_600_000).toISOString(),
    'usage-bootstrap-authentication': 'true',
    'usage-bootstrap-signing': 'true',
    ...strings,
  };
  const type = 'bootstrap.kubernetes.io/token';
  writeFileSync(file, stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, type, stringData }));
  return file;
}

for (const [binary, prefix] of [
  ['kubectl', 'new'],
  ['kubectlDebian', 'deb'],
] as const) {
  describeWithPeer(binary, `tokens with ${binary}`, () => {
    // What looks at schemas needs /openapi/v3, which Debian's kubectl does not know.
    const unchecked = binary === 'kubectlDebian' ? ['--validate=false'] : [];
    const secretOf = async (id: string): Promise<string> =>
      (await kubectl(binary, 'get', 'secret', `bootstrap-token-${id}`, '-o', 'jsonpath={.data.description}')).out;

    it('are created, shown, labelled, changed and deleted', async () => {
      const id = `${prefix}001`;
      const created = await kubectl(binary, 'create', ...unchecked, '-f', manifest(id));
      expect(created).toEqual({ out: `secret/bootstrap-token-${id} created\n`, failed: false });
      const again = await kubectl(binary, 'create', ...unchecked, '-f', manifest(id));
      expect(again.out).toContain(`secrets "bootstrap-token-${id}" already exists`);
      const table = await kubectl(binary, 'get', 'secrets', '--field-selector', 'type=bootstrap.kubernetes.io/token');
      expect(table.out).toMatch(new RegExp(`^bootstrap-token-${id} +bootstrap.kubernetes.io/token +5 `, 'm'));
      await kubectl(binary, 'label', 'secret', `bootstrap-token-${id}`, 'part=one');
      expect((await kubectl(binary, 'get', 'secrets', '-l', 'part=one', '-o', 'name')).out).toContain(id);
      const patch = '{"stringData":{"description":"patched"}}';
      await kubectl(binary, 'patch', 'secret', `bootstrap-token-${id}`, '-p', patch);
      expect(Buffer.from(await secretOf(id), 'base64').toString()).toBe('patched');
      expect((await kubectl(binary, 'describe', 'secret', `bootstrap-token-${id}`)).out).toContain('16 bytes');
      const deleted = await kubectl(binary, 'delete', 'secret', `bootstrap-token-${id}`);
      expect(deleted.failed, deleted.out).toBe(false);
      expect((await kubectl(binary, 'get', 'secret', `bootstrap-token-${id}`)).out).toContain('NotFound');
    });

    it('are applied again and again, and their secret stays out of what kubectl remembers', async () => {
      const id = `${prefix}002`;
      const first = await kubectl(binary, 'apply', ...unchecked, '-f', manifest(id));
      expect(first.failed, first.out).toBe(false);
      const second = await kubectl(binary, 'apply', ...unchecked, '-f', manifest(id, { description: 'again' }));
      expect(second.failed, second.out).toBe(false);
      expect(second.out).not.toContain('Warning');
      expect(Buffer.from(await secretOf(id), 'base64').toString()).toBe('again');
      const whole = await kubectl(binary, 'get', 'secret', `bootstrap-token-${id}`, '-o', 'yaml');
      expect(whole.out).toContain('last-applied-configuration');
      expect(whole.out).not.toContain('0123456789abcdef');
    });

    it('are the only secrets', async () => {
      const generic = await kubectl(binary, 'create', 'secret', 'generic', 'other', '--from-literal=a=b');
      expect(generic.out).toContain('bootstrap.kubernetes.io/token');
      expect(generic.failed).toBe(true);
    });
  });
}

describeWithPeer('kubectl', 'what explains itself', () => {
  it('is explained, applied by the server and diffed', async () => {
    expect((await kubectl('kubectl', 'explain', 'secret.data')).out).toContain('auth-extra-groups');
    expect((await kubectl('kubectl', 'explain', 'configmap')).out).toContain('kubeadm-config');
    const file = manifest('srv001');
    const applied = await kubectl('kubectl', 'apply', '--server-side', '-f', file);
    expect(applied).toEqual({ out: 'secret/bootstrap-token-srv001 serverside-applied\n', failed: false });
    const bad = manifest('srv002', { 'token-id': 'other1' });
    const dry = await kubectl('kubectl', 'apply', '--dry-run=server', '-f', bad);
    expect(dry.out).toContain('must be bootstrap-token-other1');
  });
});
