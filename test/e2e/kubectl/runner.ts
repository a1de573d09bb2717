import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import { expect } from 'vitest';

import { csrPath } from '../../support/kube-client.js';
import { anyRequest, createRequest, patchRequest } from '../../support/kube-requests.js';
import type { TestClient } from '../../support/service.js';
import type { Row } from './matrix.js';

const run = promisify(execFile);

export type Kubectl = {
  readonly binary: string;
  /** A directory of its own, for caches and manifests. */
  readonly home: string;
  readonly kubeconfig: string;
  readonly client: TestClient;
};

export type Ran = { readonly stdout: string; readonly stderr: string; readonly code: number };

export async function runKubectl({ binary, home, kubeconfig }: Kubectl, args: readonly string[]): Promise<Ran> {
  const env = { ...process.env, HOME: home, KUBECONFIG: kubeconfig, KUBE_EDITOR: path.join(home, 'editor') };
  const flags = [`--cache-dir=${path.join(home, 'cache')}`, '--request-timeout=30s'];
  try {
    const { stdout, stderr } = await run(binary, [...args, ...flags], { env, timeout: 60_000 });
    return { stdout, stderr, code: 0 };
  } catch (error) {
    const { stdout, stderr, code } = error as Ran;
    return { stdout, stderr, code };
  }
}

/** The minor version of a kubectl. */
export async function minorOf(binary: string): Promise<number> {
  const { stdout } = await run(binary, ['version', '--client', '-o', 'json']);
  const { minor } = (JSON.parse(stdout) as { clientVersion: { minor: string } }).clientVersion;
  return Number.parseInt(minor, 10);
}

/** Runs one row under a name of its own and checks everything that it expects. */
export async function runRow(kubectl: Kubectl, row: Row, name: string): Promise<void> {
  const file = writeManifests(kubectl.home, name);
  const fill = (text: string): string => text.replace(/(?<![A-Z])NAME\b/g, name).replaceAll('FILE', file);
  await prepare(kubectl, row, name, file);
  for (const first of row.first ?? []) {
    const before = await runKubectl(kubectl, first.map(fill));
    expect(before.code, before.stderr).toBe(0);
  }
  const ran = await runKubectl(kubectl, row.command.map(fill));
  expect(ran.code, `${ran.stdout}${ran.stderr}`).toBe(row.code ?? 0);
  const filled = (pattern: RegExp): RegExp =>
    new RegExp(fill(pattern.source).replaceAll(`${name} +AGE`, 'NAME +AGE'), pattern.flags);
  if (row.stdout !== undefined) expect(ran.stdout).toMatch(filled(row.stdout));
  if (row.stderr !== undefined) expect(ran.stderr).toMatch(filled(row.stderr));
  if (row.after === undefined && row.gone === undefined) return;
  const answer = await kubectl.client.send('GET', `${csrPath}/${name}`);
  expect(answer.status).toBe(row.gone === true ? 404 : 200);
  if (row.after !== undefined) expect(answer.text).toMatch(filled(row.after));
}

async function prepare(kubectl: Kubectl, row: Row, name: string, file: string): Promise<void> {
  const before = row.before ?? 'request';
  const metadata = { name, labels: { app: name } };
  if (before === 'request' || before === 'approved') await createRequest(kubectl.client, metadata);
  if (before === 'approved') {
    const conditions = [{ type: 'Approved', status: 'True', reason: 'Test' }];
    await patchRequest(kubectl.client, name, { status: { conditions } }, '/approval');
  }
  if (before === 'applied') {
    const applied = await runKubectl(kubectl, ['apply', '--validate=false', '-f', file]);
    expect(applied.code, applied.stderr).toBe(0);
  }
}

function writeManifests(home: string, name: string): string {
  mkdirSync(path.join(home, 'manifests'), { recursive: true });
  const editor = path.join(home, 'editor');
  writeFileSync(editor, `#!/bin/sh\nsed -i 's/^    app: .*/    app: edited/' "$1"\n`);
  chmodSync(editor, 0o755);
  const file = path.join(home, 'manifests', name);
  const manifest = (labels: object): string =>
    JSON.stringify({
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name, labels },
      spec: { request: anyRequest, signerName: 'example.com/x', usages: ['client auth'] },
    });
  writeFileSync(file, manifest({ app: name }));
  writeFileSync(`${file}-changed`, manifest({ app: 'changed', changed: 'yes' }));
  return file;
}
