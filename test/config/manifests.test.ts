import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';

import { configFrom } from '../../src/config/load.js';
import { RotundaError } from '../../src/errors.js';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'rotunda-manifests-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

const cluster = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n';
const kubelet = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';
const kubeadmConfig = configMap('kubeadm-config', { ClusterConfiguration: cluster });
const kubeletConfig = configMap('kubelet-config', { kubelet });

function configMap(name: string, data: Record<string, string>, more: Record<string, unknown> = {}): object {
  // As kubectl writes it: much of that is another cluster's.
  const metadata = {
    name,
    namespace: 'kube-system',
    uid: 'x',
    resourceVersion: '12',
    creationTimestamp: null,
    ...more,
  };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
}

function load(...texts: readonly string[]): readonly { readonly name: string }[] {
  const files = texts.map((text, index) => {
    const file = path.join(directory, `${String(index)}.yaml`);
    writeFileSync(file, text);
    return file;
  });
  const config = configFrom({ apiVersion: 'rotunda.dev/v1alpha1', kubernetes: { configMaps: files } });
  return config.kubernetes.configMaps;
}

function problemOf(...texts: readonly string[]): string {
  try {
    load(...texts);
  } catch (error) {
    if (error instanceof RotundaError) return error.message;
    throw error;
  }
  throw new Error('it was taken');
}

describe('kubernetes.configMaps', () => {
  it('reads files, documents and lists', () => {
    const names = ['kubeadm-config', 'kubelet-config'];
    expect(load(stringify(kubeadmConfig), stringify(kubeletConfig)).map(({ name }) => name)).toEqual(names);
    const documents = `---\n${stringify(kubeadmConfig)}---\n${stringify(kubeletConfig)}`;
    expect(load(documents).map(({ name }) => name)).toEqual(names);
    const list = { apiVersion: 'v1', kind: 'List', items: [kubeadmConfig, kubeletConfig] };
    expect(load(JSON.stringify(list))).toEqual(load(documents));
    expect(load(stringify(kubeadmConfig))[0]).toEqual({
      name: 'kubeadm-config',
      namespace: 'kube-system',
      labels: {},
      annotations: {},
      data: { ClusterConfiguration: cluster },
    });
  });

  it.each<[string, string, string]>([
    ['what is empty', '', 'holds no ConfigMap'],
    ['what is no YAML', '{', 'is not YAML'],
    ['another kind', stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } }), 'kind'],
    ['another name', stringify(configMap('kube-proxy', {})), 'kube-system/kube-proxy is not served'],
    [
      'another namespace',
      stringify(configMap('kubelet-config', { kubelet }, { namespace: 'default' })),
      'default/kubelet-config is not served',
    ],
    ['a missing key', stringify(configMap('kubelet-config', {})), 'data[kubelet]: Required value'],
    [
      'another configuration',
      stringify(configMap('kubeadm-config', { ClusterConfiguration: kubelet })),
      'must be a ClusterConfiguration',
    ],
    [
      'aliases without end',
      stringify(
        configMap('kubelet-config', {
          kubelet:
            'a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n',
        }),
      ),
      'aliases',
    ],
  ])('refuses %s', (_title, text, problem) => {
    const message = problemOf(text);
    expect(message).toContain('kubernetes.configMaps[0]: ');
    expect(message).toContain(problem);
  });

  it('refuses one that is there twice, and a file that is not there', () => {
    expect(problemOf(stringify(kubeletConfig), stringify(kubeletConfig))).toContain('kubernetes.configMaps[1]: ');
    const raw = { apiVersion: 'rotunda.dev/v1alpha1', kubernetes: { configMaps: ['/nowhere/x.yaml'] } };
    expect(() => configFrom(raw)).toThrow('cannot be read');
  });

  it('takes the API server as an https URL only', () => {
    const url = (apiServer: string): string | undefined =>
      configFrom({ apiVersion: 'rotunda.dev/v1alpha1', kubernetes: { apiServer } }).kubernetes.apiServer;
    expect(url('https://api.example.org:6443/')).toBe('https://api.example.org:6443');
    expect(() => url('http://api.example.org')).toThrow('must be an https URL');
  });
});
