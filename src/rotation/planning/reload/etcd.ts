import { replaceBundle, restartPod, rowsOf } from './row.js';

const pki = '/etc/kubernetes/pki/etcd';
const healthy = `etcdctl --endpoints https://127.0.0.1:2379 --cacert ${pki}/ca.crt --cert ${pki}/healthcheck-client.crt --key ${pki}/healthcheck-client.key endpoint health --cluster`;
const rolling =
  'One member at a time: replace the file by renaming, restart, and go on when every member is healthy again. Never with less than a quorum and one more up.';
const restart = [healthy, replaceBundle(`${pki}/ca.crt`), restartPod('etcd'), healthy];
const pair =
  'at the next handshake; connections that are open keep the old one. A certificate and a key that do not match refuse every new connection until they do';

const members = rowsOf({ class: 'etcd-member', software: 'etcd' }, [
  {
    purpose: 'trust',
    topology: ['etcdClient'],
    file: '--trusted-ca-file',
    effect: 'restart',
    what: 'read when the process starts; it may hold several CAs',
    see: 'a client certificate of the new authority is taken: a probe of port 2379',
    byHand: { text: rolling, commands: restart },
  },
  {
    purpose: 'trust',
    topology: ['etcdPeer'],
    file: '--peer-trusted-ca-file',
    effect: 'restart',
    what: 'read when the process starts; it may hold several CAs',
    see: 'the process is younger than the file',
    byHand: { text: rolling, commands: restart },
    known: 'source',
  },
  {
    purpose: 'trust',
    topology: ['etcdServer'],
    file: '--trusted-ca-file',
    effect: 'restart',
    what: 'its own gateway is a client of it, and verifies with the same file',
    see: 'the process is younger than the file',
    byHand: { text: rolling, commands: restart },
    known: 'source',
  },
  {
    purpose: 'leaf',
    topology: ['etcdServer'],
    file: '--cert-file, --key-file',
    effect: 'hot',
    what: pair,
    see: 'the serial that it presents: openssl s_client -connect MEMBER:2379',
    byHand: { text: 'Replace both files right after each other, by renaming.', commands: [] },
  },
  {
    purpose: 'leaf',
    topology: ['etcdPeer'],
    file: '--peer-cert-file, --peer-key-file',
    effect: 'hot',
    what: pair,
    see: 'the serial that it presents: openssl s_client -connect MEMBER:2380',
    byHand: { text: 'Replace both files right after each other, by renaming.', commands: [] },
    known: 'source',
  },
  {
    purpose: 'revocation',
    topology: ['etcdClient'],
    file: '--client-crl-file',
    effect: 'hot',
    what: 'at the next handshake; open connections live on. Serial numbers alone count, whose CRL it is and when it ends does not. A missing file, PEM, or a CRL of version 1 refuses every client certificate',
    see: 'a client with a revoked certificate is refused',
    byHand: {
      text: 'Keep the serials of both authorities in it, DER and version 2, until the old one is retired.',
      commands: [],
    },
  },
]);

const clients = rowsOf({ class: 'etcd-client', software: 'etcd client' }, [
  {
    purpose: 'trust',
    topology: ['etcdServer'],
    file: 'CA file',
    when: 'a program that ends, such as etcdctl',
    effect: 'hot',
    what: 'read at each run',
    see: 'the next run',
    byHand: { text: 'Replace the file by renaming.', commands: [replaceBundle(`${pki}/ca.crt`)] },
    known: 'source',
  },
  {
    purpose: 'trust',
    topology: ['etcdServer'],
    file: 'CA file',
    when: 'a program that keeps running',
    effect: 'restart',
    what: "etcd's client library reads it when the process starts",
    see: 'the process is younger than the file',
    byHand: {
      text: 'Replace the file by renaming, then restart the program.',
      commands: [replaceBundle(`${pki}/ca.crt`), 'systemctl restart UNIT'],
    },
    known: 'source',
  },
  {
    purpose: 'leaf',
    topology: ['etcdClient'],
    file: 'certificate and key',
    effect: 'hot',
    what: 'at the next connection',
    see: 'the inventory: the serial that was last used',
    byHand: { text: 'Replace both files, the key first.', commands: [] },
    known: 'source',
  },
]);

export const etcdRows = [...members, ...clients];
