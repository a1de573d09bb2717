import type { Context } from '../../../src/context.js';
import type { CsrContent } from '../../support/pkcs10.js';
import { admin } from '../support.js';

/** A kind of machine that a ring is for. What verifies there reads its files at its start, but for API servers. */
export type Flavour = {
  readonly name: 'kubelets' | 'etcd';
  readonly ring: string;
  readonly signerName: string;
  readonly usages: readonly string[];
  /** It is served by, and speaks to, a service whose own certificate is of this ring. */
  readonly meetsService: boolean;
  /** Name of the consumer that a machine is. */
  readonly consumer: (machine: number) => string;
  readonly subject: (machine: number) => CsrContent;
  /** Makes the machines known, once. */
  readonly prepare: (context: Context, machines: number) => Promise<void>;
  /** A new bootstrap token for a machine, with its secret. */
  readonly token: (context: Context, machine: number) => Promise<string>;
};

/** The kubernetes ring: kubelets to each other, to an API server and to the service. */
export const kubelets: Flavour = {
  ...{ name: 'kubelets', ring: 'kubernetes', signerName: 'kubernetes.io/kube-apiserver-client-kubelet' },
  ...{ usages: ['digital signature', 'client auth'], meetsService: true },
  consumer: (machine) => `kubelet/n${String(machine)}`,
  subject: (machine) => ({
    subject: [
      ['O', 'system:nodes'],
      ['CN', `system:node:n${String(machine)}`],
    ],
  }),
  prepare: () => Promise.resolve(),
  token: async ({ tokens }, machine) => {
    const node = { name: `n${String(machine)}`, addresses: [`10.0.0.${String(machine + 1)}`], dnsNames: [] };
    const { token, secret } = await tokens.create({ node }, admin);
    return `${token.id}.${secret}`;
  },
};

/** The etcd ring: members to each other, which read everything at their start only. */
export const etcd: Flavour = {
  ...{ name: 'etcd', ring: 'etcd', signerName: 'etcd.rotunda.dev/peer', meetsService: false },
  usages: ['digital signature', 'server auth', 'client auth'],
  consumer: (machine) => `etcd-member/main/m${String(machine)}`,
  subject: (machine) => ({ subject: [['CN', `m${String(machine)}`]], ips: [`10.0.1.${String(machine + 1)}`] }),
  prepare: async (context, machines) => {
    await context.etcd.create({ name: 'main' }, admin);
    for (let machine = 0; machine < machines; machine += 1) {
      const host = `https://10.0.1.${String(machine + 1)}`;
      const urls = { peerUrls: [`${host}:2380`], clientUrls: [`${host}:2379`] };
      await context.etcd.addMember('main', { name: `m${String(machine)}`, ...urls }, admin);
    }
  },
  token: async ({ tokens }, machine) => {
    const etcdMember = { cluster: 'main', name: `m${String(machine)}` };
    const { token, secret } = await tokens.create({ etcdMember }, admin);
    return `${token.id}.${secret}`;
  },
};
