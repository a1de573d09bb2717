import { minute, replaceBundle, restartPod, type ReloadRow, rowsOf, second } from './row.js';

const leader =
  'If its connections break in between it loses its lease and ends after 10 s, so leave more than five minutes between bundle and leaf';

type Name = 'kube-controller-manager' | 'kube-scheduler';

/** Its kubeconfig, which both have. */
function kubeconfig(name: Name, known: ReloadRow['known']): readonly ReloadRow[] {
  const file = `/etc/kubernetes/${name.replace('kube-', '')}.conf`;
  const restart = restartPod(name);
  const embed = `kubectl --kubeconfig ${file} config set-cluster CLUSTER --embed-certs --certificate-authority BUNDLE`;
  const trust = { purpose: 'trust', topology: ['kubernetesServer'], file: 'CA of its kubeconfig' } as const;
  return rowsOf({ class: name, software: name }, [
    {
      ...trust,
      versions: '>=1.36',
      when: 'the kubeconfig names a file',
      effect: 'delayed',
      worstDelayMs: 5 * minute,
      what: `looked at every five minutes from the start of the process. ${leader}`,
      see: 'it keeps its lease when the API server presents a certificate of the new authority',
      byHand: {
        text: 'Replace the file by renaming, and wait more than five minutes.',
        commands: [replaceBundle('/etc/kubernetes/pki/ca.crt')],
      },
      known,
    },
    {
      ...trust,
      versions: '<1.36',
      when: 'the kubeconfig names a file',
      effect: 'restart',
      what: 'read when the process starts',
      see: 'the process is younger than the file',
      byHand: {
        text: 'Replace the file by renaming, then restart.',
        commands: [replaceBundle('/etc/kubernetes/pki/ca.crt'), restart],
      },
      known: 'source',
    },
    {
      ...trust,
      when: 'the kubeconfig holds it (certificate-authority-data)',
      effect: 'restart',
      what: 'never read again',
      see: 'the process is younger than the file',
      byHand: { text: 'Write the bundle into the kubeconfig, then restart.', commands: [embed, restart] },
      known: 'source',
    },
    {
      purpose: 'leaf',
      topology: ['kubernetesClient'],
      file: 'client certificate of its kubeconfig',
      effect: 'delayed',
      worstDelayMs: 5 * minute,
      when: 'the kubeconfig names a file',
      what: `looked at every five minutes from the start of the process. ${leader}`,
      see: 'it keeps its lease',
      byHand: {
        text: 'Replace the files, the key first; restart where the kubeconfig holds the certificate itself.',
        commands: [restart],
      },
      known,
    },
  ]);
}

/** Callers that both ask the API server about. */
function callers(name: Name): readonly ReloadRow[] {
  const delegated = {
    purpose: 'trust',
    topology: ['kubernetesClient'],
    file: 'callers, by ConfigMap kube-system/extension-apiserver-authentication',
  } as const;
  return rowsOf({ class: name, software: name }, [
    {
      ...delegated,
      change: 'added',
      effect: 'hot',
      worstDelayMs: 2 * second,
      what: 'follows the ConfigMap',
      see: 'reading the ConfigMap back',
      byHand: { text: 'Nothing.', commands: [] },
      known: 'source',
    },
    {
      ...delegated,
      change: 'removed',
      effect: 'never',
      what: 'follows the ConfigMap, in which a removed CA stays',
      see: 'reading the ConfigMap back',
      byHand: {
        text: 'Delete the ConfigMap, once the API servers have the file without the old CA.',
        commands: ['kubectl -n kube-system delete configmap extension-apiserver-authentication'],
      },
      known: 'source',
    },
  ]);
}

const own = rowsOf({ class: 'kube-controller-manager', software: 'kube-controller-manager' }, [
  {
    purpose: 'trust',
    topology: ['kubernetesServer'],
    file: '--root-ca-file',
    effect: 'restart',
    what: 'no effect in 400 s while it runs; after the restart every kube-root-ca.crt follows within a second',
    see: 'kube-root-ca.crt of every namespace holds the bundle',
    byHand: {
      text: 'Write the bundle to a file of its own, let the flag name that, then restart. See the row of the signing files first.',
      commands: [
        replaceBundle('/etc/kubernetes/pki/root-ca.crt'),
        restartPod('kube-controller-manager'),
        'kubectl get configmaps -A --field-selector metadata.name=kube-root-ca.crt',
      ],
    },
  },
  {
    purpose: 'signer',
    topology: ['kubernetesClient'],
    file: '--cluster-signing-cert-file, --cluster-signing-key-file',
    effect: 'hot',
    worstDelayMs: 2 * second,
    what: 'with two certificates in the file all signing stops: requests stay Approved and never fail, and it will not start so; with one again it goes on within 2 s. Certificate and key may come seconds apart',
    see: 'a request of your own is issued',
    byHand: {
      text: 'Never write a bundle to this file. kubeadm gives it the same one as --client-ca-file and --root-ca-file: before the bundle goes there, let the flag name a copy with the signing certificate alone, or drop the flag where Rotunda signs.',
      commands: [],
    },
  },
]);

export const controllerRows = [
  ...kubeconfig('kube-controller-manager', 'measured'),
  ...own,
  ...callers('kube-controller-manager'),
  ...kubeconfig('kube-scheduler', 'inferred'),
  ...callers('kube-scheduler'),
];
