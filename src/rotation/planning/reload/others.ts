import { minute, rowsOf, second } from './row.js';

const set = 'kubectl config set-cluster CLUSTER --embed-certs --certificate-authority /tmp/bundle.pem';
const fetch = 'npx rotunda bundle get RING -o pem > /tmp/bundle.pem';
const rollout = 'kubectl -n NAMESPACE rollout restart deployment NAME';
const account = { purpose: 'trust', topology: ['kubernetesServer'], file: 'ca.crt of its ServiceAccount' } as const;
const inKubeconfig = { purpose: 'trust', topology: ['kubernetesServer'], file: 'CA of the kubeconfig' } as const;

const pods = rowsOf({ class: 'pod', software: 'client-go' }, [
  {
    ...account,
    versions: '>=1.36',
    effect: 'delayed',
    worstDelayMs: 7 * minute,
    what: 'the kubelet writes it within two minutes of kube-root-ca.crt, and the library looks at it every five',
    see: 'kube-root-ca.crt of its namespace holds the bundle, since more than seven minutes',
    byHand: {
      text: 'Wait, once kube-root-ca.crt has followed --root-ca-file.',
      commands: ['kubectl get configmaps -A --field-selector metadata.name=kube-root-ca.crt'],
    },
    known: 'source',
  },
  {
    ...account,
    versions: '<1.36',
    effect: 'restart',
    what: 'the kubelet writes it, and the library reads it when the process starts. Other libraries: ask their makers',
    see: 'the pod is younger than kube-root-ca.crt of its namespace',
    byHand: {
      text: 'Restart every workload that talks to the API server, once kube-root-ca.crt has followed --root-ca-file.',
      commands: [rollout],
    },
    known: 'source',
  },
]);

const kubeconfigs = rowsOf({ class: 'kubeconfig', software: 'client-go' }, [
  {
    ...inKubeconfig,
    when: 'kubectl and other programs that end',
    effect: 'hot',
    what: 'read at each run',
    see: 'nothing of it is seen here: its owner attests it',
    byHand: { text: 'Write the bundle into every copy of the file.', commands: [fetch, set] },
  },
  {
    ...inKubeconfig,
    when: 'a program that keeps running, with certificate-authority-data',
    effect: 'never',
    what: 'never read again, and the file itself has to be written anew',
    see: 'nothing of it is seen here: its owner attests it',
    byHand: { text: 'Write the bundle into the file, then restart the program.', commands: [fetch, set] },
    known: 'source',
  },
  {
    purpose: 'leaf',
    topology: ['kubernetesClient'],
    file: 'client certificate of the kubeconfig',
    effect: 'hot',
    what: 'read at each run',
    see: 'the inventory: the serial that was last used',
    byHand: {
      text: 'Its owner asks for a new one and writes it into the file.',
      commands: ['kubectl config set-credentials USER --embed-certs --client-certificate CERT --client-key KEY'],
    },
  },
]);

const delegated = {
  purpose: 'trust',
  topology: ['frontProxy', 'kubernetesClient'],
  file: 'ConfigMap kube-system/extension-apiserver-authentication',
} as const;
const extensions = rowsOf({ class: 'extension-apiserver', software: 'k8s.io/apiserver' }, [
  {
    ...delegated,
    change: 'added',
    when: "it is built on Kubernetes' own library",
    effect: 'hot',
    worstDelayMs: 2 * second,
    what: 'watched',
    see: 'the APIService stays Available when the API server presents a certificate of the new authority',
    byHand: { text: 'Nothing.', commands: [] },
    known: 'source',
  },
  {
    ...delegated,
    change: 'added',
    when: 'it reads the ConfigMap in its own way',
    effect: 'restart',
    what: 'up to each; most read it when they start',
    see: 'the pod is younger than the bundle',
    byHand: { text: 'Restart it.', commands: [rollout] },
    known: 'inferred',
  },
  {
    ...delegated,
    change: 'removed',
    effect: 'never',
    what: 'the API server never takes a CA out of the ConfigMap, so this goes on believing it',
    see: 'reading the ConfigMap back; then the pod is younger than it',
    byHand: {
      text: 'Delete the ConfigMap once the API servers have the file without the old CA, then restart what does not watch it.',
      commands: ['kubectl -n kube-system delete configmap extension-apiserver-authentication', rollout],
    },
  },
]);

const everything = ['kubernetesClient', 'etcdPeer', 'etcdServer', 'etcdClient', 'frontProxy', 'rotunda'] as const;
const service = rowsOf({ class: 'rotunda', software: 'rotunda' }, [
  {
    purpose: 'trust',
    topology: everything,
    file: 'its own rings',
    effect: 'hot',
    worstDelayMs: second,
    what: 'every replica follows the change log',
    see: 'each says so itself',
    byHand: { text: 'Nothing.', commands: [] },
  },
  {
    purpose: 'leaf',
    topology: ['kubernetesServer'],
    file: 'serving certificate',
    effect: 'hot',
    worstDelayMs: minute,
    what: 'issued anew by itself when another authority signs',
    see: 'the serial that it presents',
    byHand: { text: 'Nothing.', commands: [] },
  },
]);

export const otherRows = [...pods, ...kubeconfigs, ...extensions, ...service];
