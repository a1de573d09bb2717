import { minute, replaceBundle, rowsOf, second } from './row.js';

const kubeconfig = '/etc/kubernetes/kubelet.conf';
const restart = 'systemctl restart kubelet';
const embed = [
  'npx rotunda bundle get RING -o pem > /tmp/bundle.pem',
  `kubectl --kubeconfig ${kubeconfig} config set-cluster CLUSTER --embed-certs --certificate-authority /tmp/bundle.pem`,
  restart,
];
const authority = { purpose: 'trust', topology: ['kubernetesServer'], file: 'CA of its kubeconfig' } as const;
const serving = { purpose: 'leaf', topology: ['kubernetesServer'] } as const;

export const kubeletRows = rowsOf({ class: 'kubelet', software: 'kubelet' }, [
  {
    ...authority,
    when: 'rotateCertificates: true',
    effect: 'restart',
    what: 'no effect in 385 s; it does not end by itself, and its lease goes stale when the API server presents what it does not know',
    see: 'the process is younger than the bundle; the lease is renewed: kubectl -n kube-node-lease get lease NODE',
    byHand: {
      text: 'Write the bundle into the kubeconfig, then restart: every kubelet, before the API server has a certificate of the new authority.',
      commands: embed,
    },
  },
  {
    ...authority,
    versions: '>=1.36',
    when: 'rotateCertificates: false and the kubeconfig names a file',
    effect: 'delayed',
    worstDelayMs: 5 * minute,
    what: 'looked at every five minutes from the start of the process',
    see: 'the lease is renewed: kubectl -n kube-node-lease get lease NODE',
    byHand: {
      text: 'Replace the file by renaming, and wait more than five minutes.',
      commands: [replaceBundle('/etc/kubernetes/pki/ca.crt')],
    },
  },
  {
    ...authority,
    versions: '<1.36',
    when: 'rotateCertificates: false and the kubeconfig names a file',
    effect: 'restart',
    what: 'read when the process starts',
    see: 'the process is younger than the bundle',
    byHand: {
      text: 'Replace the file by renaming, then restart.',
      commands: [replaceBundle('/etc/kubernetes/pki/ca.crt'), restart],
    },
    known: 'source',
  },
  {
    purpose: 'trust',
    topology: ['kubernetesClient'],
    file: 'authentication.x509.clientCAFile',
    effect: 'hot',
    worstDelayMs: second,
    what: 'added and removed CAs alike; open connections at their next request. Before 1.36 the names of the CAs that it asks clients for stay the old ones until a restart',
    see: 'a certificate of the new authority gets 403 from port 10250, an unknown one 401',
    byHand: { text: 'Replace the file by renaming.', commands: [replaceBundle('/etc/kubernetes/pki/ca.crt')] },
  },
  {
    purpose: 'leaf',
    topology: ['kubernetesClient'],
    file: 'client certificate of its kubeconfig',
    when: 'rotateCertificates: true',
    effect: 'hot',
    what: 'it asks for its own at 70 to 90 % of the life of the present one, and connects anew with it',
    see: 'the inventory: the serial that it authenticates with',
    byHand: {
      text: 'Nothing. To have it at once, take the present one away and restart.',
      commands: ['rm /var/lib/kubelet/pki/kubelet-client-current.pem', restart],
    },
  },
  {
    ...serving,
    file: 'serving certificate',
    when: 'serverTLSBootstrap: true',
    effect: 'hot',
    what: 'it asks for its own at 70 to 90 % of the life of the present one',
    see: 'the serial that it presents: openssl s_client -connect NODE:10250',
    byHand: {
      text: 'Nothing. To have it at once, take the present one away and restart.',
      commands: ['rm /var/lib/kubelet/pki/kubelet-server-current.pem', restart],
    },
  },
  {
    ...serving,
    file: 'serving certificate',
    versions: '>=1.31',
    when: 'tlsCertFile',
    effect: 'delayed',
    worstDelayMs: minute,
    what: 'read again while it runs, with reports that it was not',
    see: 'the serial that it presents: openssl s_client -connect NODE:10250',
    byHand: {
      text: 'Replace both files, the key first; restart where the serial stays the same.',
      commands: [restart],
    },
    known: 'documentation',
  },
  {
    ...serving,
    file: 'serving certificate',
    versions: '<1.31',
    when: 'tlsCertFile',
    effect: 'restart',
    what: 'read when the process starts',
    see: 'the serial that it presents: openssl s_client -connect NODE:10250',
    byHand: { text: 'Replace both files, the key first, then restart.', commands: [restart] },
    known: 'documentation',
  },
]);
