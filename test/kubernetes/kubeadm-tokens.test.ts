import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { describeWithKubernetes, kubernetesProgram } from '../support/kubernetes/binaries.js';
import { discover } from '../support/kubeadm-discovery.js';
import { startTestService, type TestService } from '../support/service.js';

const run = promisify(execFile);

describeWithKubernetes(['kubeadm'], 'kubeadm token', () => {
  let rotunda: TestService;

  beforeAll(async () => {
    rotunda = await startTestService();
  });
  afterAll(() => rotunda.stop());

  const token = async (...args: string[]): Promise<string> => {
    const all = ['token', ...args, '--kubeconfig', rotunda.kubeconfig];
    return (await run(kubernetesProgram('kubeadm'), all, { timeout: 120_000 })).stdout;
  };

  it('creates, lists and deletes tokens, which are good for discovery', async () => {
    const chosen = 'abcdef.0123456789abcdef';
    expect(await token('create', chosen, '--ttl', '2h', '--description', 'for a test')).toBe(`${chosen}\n`);
    const made = (await token('create')).trim();
    expect(made).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);
    await discover(rotunda.url, chosen, rotunda.service.pins);
    await discover(rotunda.url, made, rotunda.service.pins);
    const list = await token('list');
    expect(list).toMatch(/^abcdef\.0123456789abcdef +1h .* authentication,signing +for a test +system:bootstrappers:/m);
    expect(list).toContain(made);
    await expect(token('create', chosen)).rejects.toThrow('a token with id "abcdef" already exists');
    expect(await token('delete', 'abcdef')).toBe('bootstrap token "abcdef" deleted\n');
    expect(await token('list')).not.toContain('abcdef');
    await expect(discover(rotunda.url, chosen)).rejects.toThrow('no JWS signed token');
    const kept = await rotunda.client(rotunda.admin).send('GET', '/pki/v1/tokens/abcdef');
    expect(kept.json()).toMatchObject({ state: 'revoked', createdBy: 'admin' });
  });

  it('makes a join command of what is published', async () => {
    const command = await token('create', '--print-join-command');
    expect(command).toContain(`kubeadm join ${new URL(rotunda.url).host} --token `);
    expect(command).toContain(rotunda.service.pins[0]);
  });
});
