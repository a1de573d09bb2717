import { describe, expect, it } from 'vitest';

import type { ReadCsr } from '../../src/ca/x509/types.js';
import { evaluate } from '../../src/csr/evaluate.js';
import type { NodeFacts, RequestFacts } from '../../src/csr/types.js';
import type { CsrContent } from '../support/pkcs10.js';
import {
  clientUsages,
  csrOf,
  kubeletServing,
  nodeSubject,
  profileOf,
  serverUsages,
  tokenFacts,
  tokenIdentity,
} from './support.js';

/** Who asks for what, with which facts known, and what comes of it. */
export type Row = {
  readonly is: string;
  readonly signer: string;
  readonly asks: CsrContent;
  readonly usages?: readonly string[];
  readonly by: RequestFacts;
  readonly csr?: Partial<ReadCsr>;
  readonly outcome: 'approve' | 'deny' | 'hold';
  readonly says: string;
};

export const both = [...serverUsages, 'client auth'];
export const bound = tokenIdentity(tokenFacts());
export const unbound = tokenIdentity({ id: 'abcdef', kind: 'unbound', reusable: true, state: 'active', claims: {} });
export const memberToken = tokenIdentity({
  id: 'aaaaaa',
  kind: 'etcd-member',
  cluster: 'main',
  member: 'm1',
  reusable: false,
  state: 'active',
  claims: {},
});
export const planeToken = tokenIdentity({
  id: 'bbbbbb',
  kind: 'control-plane',
  node: 'cp-1',
  reusable: false,
  state: 'active',
  claims: {},
});
export const used = tokenIdentity(tokenFacts({ state: 'used' }));
export const node = (change: Partial<NodeFacts> = {}): NodeFacts => ({
  name: 'node-a',
  state: 'expected',
  addresses: [],
  dnsNames: [],
  ...change,
});
export const enrolled = node({ state: 'joined', addresses: ['10.0.0.1', 'fd00::1'], dnsNames: ['Node-A.example.com'] });
export const member = {
  cluster: 'main',
  name: 'm1',
  state: 'expected',
  addresses: ['10.1.0.1'],
  dnsNames: ['m1.example.com'],
} as const;
export const other = { ...member, name: 'm2', addresses: ['10.1.0.2'], dnsNames: ['m2.example.com'] };
export const serving = (dns: string[], ips: string[], name = 'node-a'): CsrContent => ({
  ...nodeSubject(name),
  dns,
  ips,
});
export const named = (cn: string, ...o: string[]): CsrContent => ({
  subject: [...o.map((v) => ['O', v] as const), ['CN', cn]],
});
export const peer = 'etcd.rotunda.dev/peer';
export const client = 'etcd.rotunda.dev/client';
export const plane = (name: string): string => `kubeadm.rotunda.dev/${name}`;

/** One test for each row. */
export function testRows(title: string, rows: readonly Row[]): void {
  describe(title, () => {
    it.each(rows)('$signer, $is: $outcome', ({ signer, asks, usages, by, csr, outcome, says }) => {
      const asked = usages ?? (signer === kubeletServing ? serverUsages : clientUsages);
      const decision = evaluate(profileOf(signer), { ...csrOf(asks), ...csr }, asked, by);
      const message = expect.stringContaining(says) as string;
      expect({ outcome: decision.outcome, message: decision.message }).toEqual({ outcome, message });
    });
  });
}
