import { generateKeyPairSync, type KeyObject } from 'node:crypto';

import { makeCsr } from '../../../src/cli/csr.js';
import type { TestAnswer, TestClient, TestService } from '../../support/service.js';

export type NameValue = { readonly kind: 'dns' | 'ip'; readonly value: string };

export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** A CSR in PEM under a new key. */
export function csrFor(
  commonName: string,
  organizations: readonly string[] = [],
  names: readonly NameValue[] = [],
  key = newKey(),
): string {
  return makeCsr(key, { commonName, organizations, names });
}

export function nodeCsr(node: string, key?: KeyObject): string {
  return csrFor(`system:node:${node}`, ['system:nodes'], [], key ?? newKey());
}

/** A token bound to a node, as a bearer credential. */
export async function nodeToken(
  admin: TestClient,
  node: string,
  addresses: readonly string[] = [],
): Promise<{ token: string }> {
  const answer = await admin.send('POST', '/pki/v1/tokens', { body: { node: { name: node, addresses } } });
  if (answer.status !== 201) throw new Error(answer.text);
  return { token: answer.json<{ token: string }>().token };
}

/** Clients by role: what each may do is the point of most tests. */
export async function clients(
  service: TestService,
): Promise<Record<'admin' | 'anonymous' | 'bootstrapper', TestClient>> {
  const admin = service.client(service.admin);
  const token = await nodeToken(admin, 'bootstrapping-node');
  return { admin, anonymous: service.client(), bootstrapper: service.client(token) };
}

export type ProblemBody = {
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly hint?: string;
  readonly errors?: readonly { readonly field?: string; readonly rule: string; readonly message: string }[];
};

export function problem(answer: TestAnswer): ProblemBody {
  return answer.json<ProblemBody>();
}
