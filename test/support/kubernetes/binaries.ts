import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { describe, test } from 'vitest';

import { whyNoMachine } from './machine.js';

/**
 * The real programs of one Kubernetes release and of etcd, built by `npm run test:kubernetes` into the cache of test
 * peers (`npm run test:kubernetes -- --build-only` stops there), and containerd from Debian.
 */
export type KubernetesProgram =
  'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kubelet' | 'kubeadm' | 'kubectl' | 'containerd';

type Report = {
  readonly found: Readonly<Partial<Record<KubernetesProgram, string>>>;
  readonly missing: Readonly<Partial<Record<KubernetesProgram, string>>>;
};

const report = readReport();

/** `npm run test:kubernetes` hands its findings on; a bare `npx vitest` looks for itself and builds nothing. */
function readReport(): Report {
  const script = fileURLToPath(new URL('../../../scripts/kubernetes/ensure.mjs', import.meta.url));
  const text =
    process.env['ROTUNDA_KUBERNETES'] ??
    execFileSync(process.execPath, [script], { encoding: 'utf8', timeout: 120_000 });
  return JSON.parse(text) as Report;
}

/** The path of a program, inside a suite that `describeWithKubernetes` has let through. */
export function kubernetesProgram(name: KubernetesProgram): string {
  const path = report.found[name];
  if (path === undefined) throw new Error(whyMissing(name));
  return path;
}

/** What a suite asks of this host: programs, and `machine` where it runs kubelets (`startMachine`). */
export type Need = KubernetesProgram | 'machine';

/** A suite over the real programs. What is missing is a skip that names it, in CI too. */
export function describeWithKubernetes(needs: readonly Need[], title: string, suite: () => void): void {
  const gaps = needs.map(gap).filter((reason) => reason !== undefined);
  if (gaps.length === 0) describe(title, suite);
  else test.skip(`${title} [${[...new Set(gaps)].join('; ')}]`, () => undefined);
}

function gap(need: Need): string | undefined {
  if (need === 'machine') return whyNoMachine();
  return report.found[need] === undefined ? whyMissing(need) : undefined;
}

function whyMissing(name: KubernetesProgram): string {
  return `no ${name}: ${report.missing[name] ?? 'not looked for'}`;
}
