import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { describeWithKubernetes } from '../support/kubernetes/binaries.js';
import { startMachine, writeInside } from '../support/kubernetes/machine.js';
import { startContainerd } from '../support/kubernetes/node.js';

describeWithKubernetes(['machine', 'containerd'], 'a machine of the tests', () => {
  let dir: string;

  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'rotunda-machine-'));
  });

  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  it('keeps to itself what is written and started in it, and leaves nothing behind', async () => {
    const machine = await startMachine({ name: 'worker-9', dir });
    writeInside(machine, '/etc/kubernetes/marker-of-a-test', 'x');
    await machine.run('sh', ['-c', 'echo 7 > /proc/sys/kernel/panic']);
    expect((await machine.run('cat', ['/proc/sys/kernel/panic'])).stdout).toBe('7\n');
    const containerd = await startContainerd(machine);
    expect((await machine.run('hostname', [])).stdout.trim()).toBe('worker-9');
    expect((await machine.run('cat', ['/etc/kubernetes/marker-of-a-test'])).stdout).toBe('x');
    expect(existsSync('/etc/kubernetes/marker-of-a-test')).toBe(false);
    expect(readFileSync('/proc/sys/kernel/panic', 'utf8')).not.toBe('7\n');
    await machine.stop();
    expect(await containerd.ended).not.toBe(0);
    expect(containerd.running()).toBe(false);
  });
});
