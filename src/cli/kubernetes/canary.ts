import { randomBytes } from 'node:crypto';

import type { RequestView } from '../../api/rest/request-view.js';
import { createClusterClient } from '../../attach/client.js';
import { RotundaError } from '../../errors.js';
import { readKubeconfig } from '../../kubeconfig.js';
import { type Client, pathOf } from '../client.js';
import { remoteFailure } from '../failure.js';
import { throwawayCsr } from './cluster.js';

const signerName = 'kubernetes.io/kube-apiserver-client';
const pollMs = 200;
const polls = 50;

type Review = { readonly status?: { readonly userInfo?: { readonly username?: string } } };

/**
 * Whether the API server believes what the service issues: a certificate of ten minutes for a user without any rights
 * asks it who it is. Undefined when it does; what it answered otherwise.
 */
export async function canaryProblem(client: Client, clusterKubeconfig: string): Promise<string | undefined> {
  const user = `rotunda-canary-${randomBytes(4).toString('hex')}`;
  const { csr, key } = throwawayCsr(user, []);
  const cert = await issueCanary(client, user, csr);
  const { server, ca, serverName } = readKubeconfig(clusterKubeconfig);
  const trust = { ...(ca === undefined ? {} : { ca }), ...(serverName === undefined ? {} : { serverName }) };
  const cluster = createClusterClient({ server, ...trust, cert, key });
  try {
    const review = await cluster.create<Review>('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    });
    const seen = review.status?.userInfo?.username;
    return seen === user ? undefined : `it takes the certificate of ${user} for ${seen ?? 'nobody'}`;
  } catch (error) {
    if (!(error instanceof RotundaError)) throw error;
    // Known, and without the right that every authenticated user has by default.
    if (error.code === 'forbidden' && error.message.includes(user)) return undefined;
    if (error.code === 'unauthorized' || error.code === 'forbidden') return error.message;
    throw error;
  } finally {
    await cluster.close();
  }
}

/** Asked for, approved by whoever runs this, and taken; the request is deleted again. */
async function issueCanary(client: Client, name: string, csr: string): Promise<string> {
  const body = { name, signerName, request: csr, usages: ['client auth', 'digital signature'], expirationSeconds: 600 };
  let request = await client.json<RequestView>('POST', '/requests', { body });
  const path = `/requests${pathOf(name)}`;
  try {
    if (request.certificate === undefined) {
      const verdict = { reason: 'Canary', message: 'Tries whether the API server believes this ring.' };
      await client.json('POST', `${path}/approve`, { body: verdict });
    }
    for (let tries = 0; request.certificate === undefined && tries < polls; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, pollMs));
      request = await client.json<RequestView>('GET', path);
    }
  } finally {
    await client.send('DELETE', path);
  }
  if (request.certificate !== undefined) return request.certificate;
  throw remoteFailure(`no canary certificate was issued: the request is ${request.state}`);
}
