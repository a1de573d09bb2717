import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { configFrom } from '../src/config/load.js';
import { createContext } from '../src/context.js';
import type { Identity } from '../src/identity/types.js';
import { csrPem, newEcKey } from '../test/support/pkcs10.js';
import type { Floor } from './floor.js';
import { inParallel, type Row } from './report.js';

const nodes = 64;

export type InProcessOptions = { readonly certificates: number; readonly width: number };

/** (a) From CSR bytes to durable certificate in one process: nodes renew themselves, SQLite with an fsync per commit. */
export async function benchInProcess(floor: Floor, options: InProcessOptions): Promise<Row[]> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-bench-'));
  const config = configFrom({ apiVersion: 'rotunda.dev/v1alpha1', dataDir, log: { level: 'silent' } });
  const context = await createContext(config);
  try {
    const actor = person();
    for (let i = 0; i < nodes; i += 1) await context.nodes.enrol({ name: `node-${String(i)}` }, actor);
    const drafts = Array.from({ length: 256 }, (_, index) => draftFor(`node-${String(index % nodes)}`));
    const run = async (count: number): Promise<void> => {
      await inParallel(count, options.width, async (index) => {
        const { name, draft } = drafts[index % drafts.length] ?? draftFor('node-0');
        const { settled } = await context.requests.submit(nodeIdentity(name), draft);
        if ((await settled).issued === undefined) throw new Error('no certificate was issued');
      });
    };
    await run(Math.ceil(options.certificates / 5));
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    await run(options.certificates);
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const used = process.cpuUsage(cpu);
    const cpuUs = (used.user + used.system) / options.certificates;
    const bound = 1e6 / (floor.signUs + floor.verifyUs);
    return [
      { what: `certificates, ${String(options.width)} at once`, value: options.certificates / seconds, unit: '/s' },
      { what: 'CPU per durable certificate', value: cpuUs, unit: 'µs' },
      { what: 'share of the bound, by CPU', value: 1e6 / cpuUs / bound, unit: '', aim: 'at least 0.5' },
    ];
  } finally {
    await context.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function person(): Identity {
  return { kind: 'internal', username: 'system:rotunda', uid: '', groups: [], extra: {}, roles: ['admin'] };
}

function nodeIdentity(name: string): Identity {
  return {
    kind: 'certificate',
    username: `system:node:${name}`,
    uid: '',
    groups: ['system:nodes', 'system:authenticated'],
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${'0'.repeat(64)}`] },
    ring: 'kubernetes',
    certificate: { serial: '01', fingerprint: '0'.repeat(64), notAfter: Number.MAX_SAFE_INTEGER },
    node: name,
    roles: ['node', 'authenticated'],
  };
}

function draftFor(name: string): {
  name: string;
  draft: Parameters<Awaited<ReturnType<typeof createContext>>['requests']['submit']>[1];
} {
  const request = csrPem(newEcKey(), {
    subject: [
      ['O', 'system:nodes'],
      ['CN', `system:node:${name}`],
    ],
  });
  return {
    name,
    draft: {
      metadata: { generateName: 'csr-' },
      spec: {
        request: Buffer.from(request).toString('base64'),
        signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
        usages: ['digital signature', 'client auth'],
      },
      pem: 'upstream',
    },
  };
}
