import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { csrFor, nodeCsr, nodeToken } from '../api/rest/service.js';
import { certificateOf, startTestService, type TestClient, type TestService } from '../support/service.js';
import { inProcess, type Ran } from './rotunda.js';

let service: TestService;
let admin: TestClient;
let directory: string;
const kubelet = 'kubernetes.io/kube-apiserver-client-kubelet';
const user = 'kubernetes.io/kube-apiserver-client';
const header = 'apiVersion: rotunda.dev/v1alpha1\n';

beforeAll(async () => {
  service = await startTestService();
  admin = service.client(service.admin);
  directory = mkdtempSync(path.join(tmpdir(), 'rotunda-cli-requests-'));
  // A token of nobody's for a node that nobody enrolled: held, and given away under upstream's policy.
  const { token } = (await admin.send('POST', '/pki/v1/tokens', { body: {} })).json<{ token: string }>();
  const body = { signerName: kubelet, request: nodeCsr('stranger'), name: 'stranger' };
  expect((await service.client({ token }).send('POST', '/pki/v1/requests', { body })).status).toBe(202);
});
afterAll(async () => {
  await service.stop();
  rmSync(directory, { recursive: true, force: true });
});

const run = (...args: string[]): Promise<Ran> => inProcess([...args, '--kubeconfig', service.kubeconfig]);

function write(name: string, text: string): string {
  const file = path.join(directory, name);
  writeFileSync(file, text);
  return file;
}

describe('request replay', () => {
  it('ends with 0 where nothing would be different', async () => {
    const ran = await run('request', 'replay', '--config', write('same.yaml', header));
    expect([ran.code, ran.out]).toEqual([0, '']);
    expect(ran.err).toMatch(/^1 requests since .*, 0 would be answered differently\nnow: hold 1; then: hold 1\n$/);
  });

  it('ends with 3 and says who would get what, and by which rule', async () => {
    const file = write('other.yaml', `${header}nodeApproval: upstream-any-node-name\nstore: { urlFile: /nowhere }\n`);
    const ran = await run('request', 'replay', '--days', '1', '--config', file);
    expect(ran.code).toBe(3);
    expect(ran.out).toMatch(/REQUEST +COUNT +AGE +SIGNERNAME +REQUESTOR +BEFORE +AFTER +RULES/);
    expect(ran.out).toMatch(/stranger +1 .*hold +approve \(kubernetes, 2591700s\) +may-become-node: missing -> passed/);
    expect(ran.err).not.toContain('error:');
    const json = await run('request', 'replay', '--since', '12h', '--config', file, '-o', 'json');
    expect([json.code, JSON.parse(json.out)]).toMatchObject([
      3,
      { requests: 1, changed: 1, changes: [{ request: 'stranger', state: 'pending', after: { outcome: 'approve' } }] },
    ]);
  });

  it('says what is wrong with the file', async () => {
    const wrong = await run('request', 'replay', '--config', write('wrong.yaml', `${header}nodeApproval: anybody\n`));
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('nodeApproval')]);
    const none = await run('request', 'replay', '--config', write('none.yaml', 'nodeApproval: enrolled\n'));
    expect([none.code, none.err]).toEqual([2, expect.stringContaining('apiVersion')]);
    const list = await run('request', 'replay', '--config', write('list.yaml', '- a\n'));
    expect([list.code, list.err]).toEqual([1, expect.stringContaining('must be a YAML mapping')]);
    const both = await run('request', 'replay', '--since', '1d', '--days', '1', '--config', write('same.yaml', header));
    expect(both.code).toBe(1);
  });

  it('is for those who may read everything, and nobody else', async () => {
    const body = { config: { apiVersion: 'rotunda.dev/v1alpha1' } };
    const ask = async (client: TestClient): Promise<number> =>
      (await client.send('POST', '/pki/v1/requests/replay', { body })).status;
    const asRole = async (group: string): Promise<TestClient> => {
      const made = await run('cert', 'csr', '--key', path.join(directory, `${group}.key`), '--cn', 'x', '--org', group);
      const asked = { signerName: 'rotunda.dev/client', request: made.out, name: group.replace(':', '-') };
      await admin.send('POST', '/pki/v1/requests', { body: asked });
      await admin.send('POST', `/pki/v1/requests/${asked.name}/approve`, { body: {} });
      const key = readFileSync(path.join(directory, `${group}.key`), 'utf8');
      return service.client({ cert: await certificateOf(admin, asked.name), key });
    };
    expect(await ask(await asRole('rotunda:viewers'))).toBe(200);
    expect(await ask(await asRole('rotunda:operators'))).toBe(200);
    expect(await ask(service.client(await nodeToken(admin, 'n9')))).toBe(403);
    expect(await ask(service.client())).toBe(401);
  });
});

describe('request explain', () => {
  it('says what would become of a file that was never submitted', async () => {
    await admin.send('POST', '/pki/v1/nodes', { body: { name: 'n1', addresses: ['10.0.0.1'] } });
    const names = [{ kind: 'ip', value: '10.0.0.2' } as const];
    const file = write('n1.csr', csrFor('system:node:n1', ['system:nodes'], names));
    const signer = ['--signer', 'kubernetes.io/kubelet-serving'];
    const held = await run('request', 'explain', '-f', file, ...signer, '--as-node', 'n1');
    expect([held.code, held.out]).toEqual([0, expect.stringMatching(/names-enrolled +fact +missing/)]);
    expect(held.err).toContain('as things are now, the rules say hold: not enrolled for the node "n1": IP 10.0.0.2');
    const refused = await run('request', 'explain', '-f', file, ...signer, '--as-node', 'n2', '-o', 'json');
    expect(JSON.parse(refused.out)).toMatchObject({ outcome: 'refuse', reason: 'Forbidden' });
    const { items } = (await admin.send('GET', '/pki/v1/requests')).json<{ items: { name: string }[] }>();
    expect(items.some(({ name }) => name === 'explained')).toBe(false);
  });

  it('wants a name or a file, with its signer and one requester', async () => {
    const file = write('n1.csr', nodeCsr('n1'));
    for (const args of [
      [],
      ['stranger', '-f', file, '--signer', kubelet],
      ['-f', file],
      ['-f', file, '--signer', kubelet, '--as-node', 'n1', '--as-user', 'jane'],
    ]) {
      const ran = await run('request', 'explain', ...args);
      expect([args, ran.code]).toEqual([args, 1]);
    }
  });

  it('says what a person decided', async () => {
    const asked = { signerName: user, request: csrFor('jane', ['dev']), name: 'jane' };
    await admin.send('POST', '/pki/v1/requests', { body: asked });
    await run('request', 'deny', 'jane', '--reason', 'NotNow', '--message', 'come again');
    const ran = await run('request', 'explain', 'jane');
    expect(ran.err).toContain('Denied (NotNow): come again\nas things were when it was decided, the rules say hold:');
  });
});

describe('request approve', () => {
  it('shows which rules it overrides', async () => {
    const ran = await run('request', 'approve', 'stranger');
    expect(ran.code).toBe(0);
    expect(ran.err).toMatch(/^stranger: may-become-node overridden: the node "stranger" is not enrolled/);
    expect(await certificateOf(admin, 'stranger')).toContain('BEGIN CERTIFICATE');
    const { detail } = await service.service.context.store.db
      .selectFrom('audit_events')
      .select('detail')
      .where('action', '=', 'request.issuing')
      .where('name', '=', 'stranger')
      .executeTakeFirstOrThrow();
    expect(JSON.parse(detail)).toMatchObject({
      commonName: 'system:node:stranger',
      overridden: [expect.stringContaining('may-become-node')],
    });
  });

  it('says where a rule cannot be overridden, and the request fails', async () => {
    const asked = { signerName: kubelet, request: csrFor('system:node:n1', ['others']), name: 'wrong' };
    await admin.send('POST', '/pki/v1/requests', { body: asked });
    const ran = await run('request', 'approve', 'wrong');
    expect(ran.err).toContain(
      'wrong: organization cannot be overridden, the request fails: subject organization is not system:nodes',
    );
    await expect(certificateOf(admin, 'wrong')).rejects.toThrow('SignerValidationFailure');
  });
});
