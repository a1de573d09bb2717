import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Agent, request } from 'undici';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { configFrom } from '../../src/config/load.js';
import { type Context, createContext } from '../../src/context.js';
import { clientCasOf, createRotundaServer, type RotundaServer } from '../../src/server.js';
import { type CandidateListener, createCandidateListener } from '../../src/service/candidate-listener.js';
import type { ServedAuthority } from '../../src/service/served-authorities.js';
import { adminKubeconfig } from '../../src/service/admin-kubeconfig.js';
import { loadServingCertificate } from '../../src/service/serving-certificate.js';
import { addAnchor } from '../support/second-anchor.js';
import { readKubeconfig } from '../support/service.js';

const ring = 'kubernetes';
const name = 'candidate.kubernetes.rotunda.internal';

let dataDir: string;
let context: Context;
let server: RotundaServer;
let candidates: CandidateListener;
let served: ServedAuthority[];
let url: string;
let first: string;
let admin: { readonly cert: string; readonly key: string };
const agents: Agent[] = [];

beforeEach(async () => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-candidates-'));
  const config = { apiVersion: 'rotunda.dev/v1alpha1', dataDir, listen: '127.0.0.1:0', log: { level: 'silent' } };
  context = await createContext(configFrom(config));
  const { ca, clock, logger } = context;
  served = [];
  candidates = createCandidateListener({
    ...{ clock, logger },
    canary: (order) => ca.canary(order),
    served: () => Promise.resolve(served),
    names: () => [{ kind: 'dns', value: 'localhost' }],
    clientCas: () => clientCasOf(context),
  });
  const serving = await loadServingCertificate(context);
  server = await createRotundaServer(context, serving.current(), candidates);
  server.app.get('/pki/v1/candidate', (asked) => ({
    user: asked.identity.username,
    candidate: candidates.candidateOf(asked.raw.socket) ?? null,
  }));
  await server.app.listen({ host: '127.0.0.1', port: 0 });
  url = `https://127.0.0.1:${String((server.app.server.address() as AddressInfo).port)}`;
  const kubeconfig = adminKubeconfig(context, { forceRenewal: false });
  await kubeconfig.renewIfDue(url);
  ({ admin } = readKubeconfig(readFileSync(kubeconfig.file, 'utf8')));
  first = ca.bundle(ring).pem;
});

afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.destroy()));
  await server.app.close();
  await context.close();
  rmSync(dataDir, { recursive: true, force: true });
});

type Answer = { status: number; user?: string; candidate?: ServedAuthority | null };

async function ask(servername: string, ca: string, credential: object = admin): Promise<Answer> {
  const agent = new Agent({ connect: { ca, servername, ...credential } });
  agents.push(agent);
  const { statusCode, body } = await request(`${url}/pki/v1/candidate`, { dispatcher: agent });
  const answer = (await body.json()) as Omit<Answer, 'status'>;
  return statusCode === 200 ? { status: statusCode, ...answer } : { status: statusCode };
}

it('show, through the whole service, that an authenticated client has loaded a new authority', async () => {
  const second = await addAnchor(context, ring);
  await context.ca.reload();
  const staged = context.ca.authorities(ring).find(({ state }) => state === 'trusted');
  served = [{ role: 'candidate', ring, authority: staged?.ski ?? '', generation: 2 }];
  // Not before it is taken over.
  await expect(ask(name, second)).rejects.toThrow();
  await candidates.refresh();
  expect(await ask(name, second)).toEqual({ status: 200, user: 'admin', candidate: served[0] });
  expect(await ask(name, second + first)).toMatchObject({ candidate: served[0] });
  await expect(ask(name, first)).rejects.toThrow();
  expect(await ask('localhost', first)).toEqual({ status: 200, user: 'admin', candidate: null });
  // Who is nobody is nobody there too.
  expect(await ask(name, second, {})).toMatchObject({ user: 'system:anonymous' });
  expect((await context.ca.certificates.list({ ring, profile: 'rotunda.dev/canary', limit: 10 })).items).toHaveLength(
    1,
  );
});

it('stay when the service presents another certificate of its own', async () => {
  const second = await addAnchor(context, ring);
  await context.ca.reload();
  const staged = context.ca.authorities(ring).find(({ state }) => state === 'trusted');
  served = [{ role: 'candidate', ring, authority: staged?.ski ?? '', generation: 2 }];
  await candidates.refresh();
  server.present((await loadServingCertificate(context)).current());
  expect(await ask(name, second)).toMatchObject({ candidate: served[0] });
  expect(await ask('localhost', first)).toMatchObject({ candidate: null });
});

it('are not there while no authority is being replaced', async () => {
  await candidates.refresh();
  await expect(ask(name, first)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  expect(await ask('localhost', first)).toMatchObject({ status: 200, candidate: null });
});
