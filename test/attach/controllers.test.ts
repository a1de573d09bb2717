import { describe, expect, it } from 'vitest';

import type { ClusterClient } from '../../src/attach/client.js';
import { controllersByFlags } from '../../src/attach/controllers.js';

/** The one list that is asked for. */
function clusterWith(...commands: readonly string[][]): ClusterClient {
  const items = commands.map((command, at) => ({
    metadata: { name: `kube-controller-manager-cp${String(at + 1)}` },
    spec: { containers: [{ command }] },
  }));
  const list = (path: string): Promise<unknown> => {
    expect(path).toBe('/api/v1/namespaces/kube-system/pods');
    return Promise.resolve({ items, resourceVersion: '1' });
  };
  return { list } as unknown as ClusterClient;
}

const off =
  '--controllers=*,-certificatesigningrequest-signing-controller,-certificatesigningrequest-approving-controller';

describe("kube-controller-manager's controllers for requests, by its flags", () => {
  const rows: [string, string[][], string, string][] = [
    ['without the flag', [['kube-controller-manager', '--leader-elect=true']], 'runs', 'runs'],
    ['switched off', [['kube-controller-manager', off]], 'off', 'off'],
    ['by their older names', [['kube-controller-manager', '--controllers=*,-csrsigning,-csrapproving']], 'off', 'off'],
    ['one of them', [['kube-controller-manager', '--controllers=*,-csrsigning']], 'runs', 'off'],
    ['by what is left out', [['kube-controller-manager', '--controllers=node-lifecycle-controller']], 'off', 'off'],
    ['named beside a star', [['kube-controller-manager', '--controllers=csrapproving']], 'runs', 'off'],
    ['the last flag', [['kube-controller-manager', '--controllers=*', off]], 'off', 'off'],
    ['on one of two machines', [['kube-controller-manager', off], ['kube-controller-manager']], 'runs', 'runs'],
    ['nowhere', [], 'unknown', 'unknown'],
  ];
  it.each(rows)('%s', async (_title, commands, approver, signer) => {
    expect(await controllersByFlags(clusterWith(...commands))).toMatchObject({ approver, signer });
  });
});
