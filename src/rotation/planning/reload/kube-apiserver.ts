import { minute, replaceBundle, restartPod, rowsOf, second } from './row.js';

const pki = '/etc/kubernetes/pki';
const oneByOne = 'one API server at a time, and the next when the last one is ready';
const ready = 'kubectl get --raw /readyz';
const merged = 'kube-system/extension-apiserver-authentication';

const trust = rowsOf({ class: 'kube-apiserver', software: 'kube-apiserver' }, [
  {
    purpose: 'trust',
    topology: ['kubernetesClient'],
    file: '--client-ca-file',
    effect: 'hot',
    worstDelayMs: second,
    what: 'added and removed CAs alike, request by request: an open connection gets 401 at its next one. A damaged, empty or missing file leaves the last good bundle',
    see: 'a certificate of the new authority gets 200 for a SelfSubjectReview, one of a removed one 401',
    byHand: { text: 'Replace the file by renaming.', commands: [replaceBundle(`${pki}/ca.crt`)] },
  },
  {
    purpose: 'trust',
    topology: ['kubernetesClient'],
    file: 'watches that are open',
    change: 'removed',
    effect: 'never',
    what: 'a watch that was opened under a CA lives on after it is removed (more than 290 s were seen) until it ends by itself',
    see: 'the process is younger than the bundle, or somebody attests that none of its streams is older',
    byHand: {
      text: `Restart, ${oneByOne}, or wait until every watch has ended and attest that.`,
      commands: [restartPod('kube-apiserver'), ready],
    },
  },
  {
    purpose: 'trust',
    topology: ['kubernetesClient', 'frontProxy'],
    file: `ConfigMap ${merged}`,
    change: 'added',
    effect: 'hot',
    worstDelayMs: 2 * second,
    what: 'the API server merges its files into it, and whoever delegates to it follows',
    see: 'reading the ConfigMap back',
    byHand: { text: 'Nothing, once the files are replaced.', commands: [] },
  },
  {
    purpose: 'trust',
    topology: ['kubernetesClient', 'frontProxy'],
    file: `ConfigMap ${merged}`,
    change: 'removed',
    effect: 'never',
    what: 'a CA that was removed from the files stays in it for ever, and controller-manager, scheduler and extension API servers go on believing it',
    see: 'reading the ConfigMap back',
    byHand: {
      text: 'Delete it once every API server has the file without the old CA: it is written again from the present files within 2 s.',
      commands: ['kubectl -n kube-system delete configmap extension-apiserver-authentication'],
    },
  },
  {
    purpose: 'trust',
    topology: ['frontProxy'],
    file: '--requestheader-client-ca-file',
    effect: 'hot',
    worstDelayMs: second,
    what: 'added and removed CAs alike',
    see: 'reading the ConfigMap back, where it is copied to',
    byHand: { text: 'Replace the file by renaming.', commands: [replaceBundle(`${pki}/front-proxy-ca.crt`)] },
  },
  {
    purpose: 'trust',
    topology: ['kubernetesServer'],
    file: '--kubelet-certificate-authority',
    versions: '>=1.36',
    effect: 'delayed',
    worstDelayMs: 5 * minute,
    what: 'looked at every five minutes from the start of the process',
    see: '`kubectl logs` of a pod on a node whose kubelet presents a certificate of the new authority',
    byHand: {
      text: 'Replace the file by renaming, and wait more than five minutes.',
      commands: [replaceBundle(`${pki}/ca.crt`)],
    },
  },
  {
    purpose: 'trust',
    topology: ['kubernetesServer'],
    file: '--kubelet-certificate-authority',
    versions: '<1.36',
    effect: 'restart',
    what: 'read when the process starts',
    see: 'the process is younger than the file',
    byHand: {
      text: `Replace the file by renaming, then restart, ${oneByOne}.`,
      commands: [replaceBundle(`${pki}/ca.crt`), restartPod('kube-apiserver'), ready],
    },
    known: 'inferred',
  },
  {
    purpose: 'trust',
    topology: ['etcdServer'],
    file: '--etcd-cafile',
    effect: 'restart',
    what: 'a bundle that is written while it runs changes nothing, and shows only when it connects again, long after. An API server that has lost etcd did not end within 96 s of SIGTERM',
    see: 'the process is younger than the file',
    byHand: {
      text: `Replace the file by renaming, then restart, ${oneByOne}.`,
      commands: [replaceBundle(`${pki}/etcd/ca.crt`), restartPod('kube-apiserver'), ready],
    },
  },
  {
    purpose: 'trust',
    topology: ['serviceAccountKeys'],
    file: '--service-account-key-file',
    effect: 'restart',
    what: 'no effect in 16 minutes while it runs; it may name several keys, and be given several times',
    see: 'the process is younger than the file; `kubectl get --raw /openid/v1/jwks` lists the key',
    byHand: {
      text: `Add the key to the file, then restart, ${oneByOne}.`,
      commands: [restartPod('kube-apiserver'), ready, 'kubectl get --raw /openid/v1/jwks'],
    },
  },
]);

const leaves = rowsOf({ class: 'kube-apiserver', software: 'kube-apiserver' }, [
  {
    purpose: 'leaf',
    topology: ['kubernetesServer'],
    file: '--tls-cert-file, --tls-private-key-file',
    effect: 'hot',
    worstDelayMs: second,
    what: 'a certificate without its key leaves the old pair',
    see: 'the serial that it presents: openssl s_client -connect HOST:6443',
    byHand: { text: 'Replace both files, the key first.', commands: [] },
  },
  {
    purpose: 'leaf',
    topology: ['kubernetesClient'],
    file: '--kubelet-client-certificate, --kubelet-client-key',
    effect: 'hot',
    worstDelayMs: 6 * second,
    what: 'at the next handshake; one request that was under way failed with 500',
    see: '`kubectl logs` of any pod',
    byHand: { text: 'Replace both files, the key first.', commands: [] },
  },
  {
    purpose: 'leaf',
    topology: ['frontProxy'],
    file: '--proxy-client-cert-file, --proxy-client-key-file',
    effect: 'hot',
    worstDelayMs: second,
    what: 'for new connections to extension API servers',
    see: 'the APIServices stay Available: kubectl get apiservices',
    byHand: { text: 'Replace both files, the key first.', commands: [] },
  },
  {
    purpose: 'leaf',
    topology: ['etcdClient'],
    file: '--etcd-certfile, --etcd-keyfile',
    effect: 'hot',
    what: 'at the next connection to etcd; those that are open keep the old one',
    see: 'kubectl get --raw /readyz/etcd after the connection was made anew',
    byHand: { text: 'Replace both files, the key first.', commands: [] },
  },
]);

export const apiserverRows = [...trust, ...leaves];
