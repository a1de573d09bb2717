import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, expect, it } from 'vitest';

import { readKubeconfig } from '../../src/kubeconfig.js';
import { startTestService, type TestService } from '../support/service.js';
import { describeEachDatabase } from '../support/stores.js';

const service = { name: 'rotunda', namespace: 'kube-system', port: 8443 };

describeEachDatabase('the record of standing behind an API server', (newDatabase) => {
  const started: TestService[] = [];
  const directories: string[] = [];

  afterEach(async () => {
    for (const one of started.splice(0)) await one.stop();
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  });

  const start = async (storeUrl: string): Promise<TestService> => {
    const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-replica-'));
    directories.push(dataDir);
    const one = await startTestService({ storeUrl, dataDir });
    started.push(one);
    return one;
  };

  it('holds for the next process and on another machine, each with a credential of its own', async () => {
    const url = await newDatabase();
    const first = await start(url);
    const cluster = { server: 'https://127.0.0.1:1', certificateAuthority: first.ca };
    const answer = await first.client(first.admin).send('PUT', '/pki/v1/attachment', { body: { service, cluster } });
    expect(answer.status, answer.text).toBe(200);
    await first.service.maintain();
    const made = await first.client(first.admin).send('POST', '/pki/v1/tokens', { body: {} });
    expect(made.status).toBe(201);
    const isShared = url.startsWith('postgres');
    if (!isShared) {
      await first.service.stop();
      started.splice(0);
    }
    const second = await start(url);
    await second.service.maintain();
    const { attachment } = second.service.context;
    expect(attachment.servingNames()).toEqual(['rotunda.kube-system.svc']);
    const files = directories.map((directory) => readKubeconfig(path.join(directory, 'cluster.kubeconfig')));
    expect(files[0]?.server).toBe(files[1]?.server);
    expect(files[0]?.key).not.toBe(files[1]?.key);
    const status = await attachment.status();
    expect(status.tokenSecrets).toEqual({ written: 0, waiting: 1, problems: [] });
    expect(status.sink?.state).toBe('behind');
    await attachment.clear('test');
    expect((await attachment.status()).tokenSecrets.waiting).toBe(0);
    if (isShared) {
      await first.service.maintain();
      expect(first.service.context.attachment.servingNames()).toEqual([]);
    }
  });
});
