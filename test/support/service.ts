import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Agent, request as undiciRequest } from 'undici';
import { parse } from 'yaml';

import { configFrom } from '../../src/config/load.js';
import type { ContextOverrides } from '../../src/context.js';
import { type Service, startService } from '../../src/service/start.js';
import { checkExchange } from './contract.js';

export type TestServiceOptions = {
  /** Fields of the configuration file, without apiVersion. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** `sqlite:` in the data directory when left out. */
  readonly storeUrl?: string;
  readonly dataDir?: string;
  readonly overrides?: ContextOverrides;
};

export type TestService = {
  readonly service: Service;
  readonly url: string;
  readonly dataDir: string;
  /** PEM bundle that the server's certificate chains to. */
  readonly ca: string;
  readonly kubeconfig: string;
  readonly admin: TlsCredential;
  /** A keep-alive client; without a credential it is anonymous. */
  client(credential?: TlsCredential | BearerCredential): TestClient;
  /** Stops the service and removes its data directory, unless one was given. */
  stop(): Promise<void>;
};

export type TlsCredential = { readonly cert: string; readonly key: string };
export type BearerCredential = { readonly token: string };

export type TestAnswer = {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  json<T = unknown>(): T;
};

export type TestClient = {
  send(
    method: string,
    path: string,
    options?: { body?: unknown; raw?: Buffer | string; headers?: Record<string, string> },
  ): Promise<TestAnswer>;
  readonly agent: Agent;
};

/** A real service in this process, on a free port of 127.0.0.1, with its own data directory. */
export async function startTestService(options: TestServiceOptions = {}): Promise<TestService> {
  const dataDir = options.dataDir ?? mkdtempSync(path.join(tmpdir(), 'rotunda-'));
  const config = configFrom({
    apiVersion: 'rotunda.dev/v1alpha1',
    dataDir,
    listen: '127.0.0.1:0',
    log: { level: 'silent' },
    ...(options.storeUrl === undefined
      ? {}
      : { store: { url: options.storeUrl }, keyEncryptionKey: { file: testKeyFile(dataDir) } }),
    ...options.config,
  });
  const service = await startService(config, options.overrides === undefined ? {} : { overrides: options.overrides });
  const kubeconfig = readFileSync(service.adminKubeconfig, 'utf8');
  const { ca, admin } = readKubeconfig(kubeconfig);
  const agents: Agent[] = [];
  return {
    service,
    url: service.url,
    dataDir,
    ca,
    kubeconfig: service.adminKubeconfig,
    admin,
    client: (credential) => {
      const agent = new Agent({
        connect: { ca, ...(credential !== undefined && 'cert' in credential ? credential : {}) },
      });
      agents.push(agent);
      return testClient(
        service.url,
        agent,
        credential !== undefined && 'token' in credential ? credential.token : undefined,
      );
    },
    stop: async () => {
      await Promise.all(agents.map((agent) => agent.destroy()));
      await service.stop();
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Every replica of one test shares this key. */
function testKeyFile(dataDir: string): string {
  const file = path.join(dataDir, 'test.key');
  writeFileSync(file, Buffer.alloc(32, 7).toString('base64'), { mode: 0o600 });
  return file;
}

function testClient(url: string, agent: Agent, token: string | undefined): TestClient {
  return {
    agent,
    send: async (method, requestPath, options = {}) => {
      const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
      const headers = {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      };
      const answer = await undiciRequest(`${url}${requestPath}`, {
        method: method as 'GET',
        dispatcher: agent,
        headers,
        ...(body === undefined ? {} : { body }),
      });
      const text = await answer.body.text();
      checkExchange({
        method,
        path: requestPath,
        status: answer.statusCode,
        contentType: headerText(answer.headers['content-type']),
        text,
      });
      return { status: answer.statusCode, headers: answer.headers, text, json: <T>() => JSON.parse(text) as T };
    },
  };
}

/** The certificate of an approved request, which is issued a moment after the approval. Throws when there will be none. */
export async function certificateOf(client: TestClient, request: string): Promise<string> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const answer = await client.send('GET', `/pki/v1/requests/${request}`);
    const { state, certificate } = answer.json<{ state: string; certificate?: string }>();
    if (certificate !== undefined) return certificate;
    if (state === 'failed' || state === 'denied' || Date.now() > deadline) throw new Error(answer.text);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What a kubeconfig of the service holds. */
export function readKubeconfig(text: string): { server: string; ca: string; admin: TlsCredential } {
  const parsed = parse(text) as {
    clusters: [{ cluster: Record<string, string> }];
    users: [{ user: Record<string, string> }];
  };
  const decode = (value: string | undefined): string => Buffer.from(value ?? '', 'base64').toString();
  const { cluster } = parsed.clusters[0];
  const { user } = parsed.users[0];
  return {
    server: cluster['server'] ?? '',
    ca: decode(cluster['certificate-authority-data']),
    admin: { cert: decode(user['client-certificate-data']), key: decode(user['client-key-data']) },
  };
}

function headerText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
