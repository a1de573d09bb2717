import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions, TLSSocket } from 'node:tls';

import type { TestLeaf } from './pki.js';

export type TestEndpoint = {
  readonly port: number;
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly connections: () => number;
  /** New connections meet these files. */
  reload(options: Partial<EndpointOptions>): void;
  close(): Promise<void>;
};

export type EndpointOptions = {
  readonly leaf: Pick<TestLeaf, 'certificatePem' | 'keyPem'>;
  /** PEM behind the leaf. */
  readonly chain?: string;
  /** PEM of the CAs that client certificates are verified with. */
  readonly clientCas: readonly string[];
  readonly tls?: 'TLSv1.2' | 'TLSv1.3';
};

type Kind = 'tls' | 'kubernetes' | 'kubelet' | 'no-client-certificates' | 'any-client-certificate';

/** A server with mutual TLS in this process. */
export async function startEndpoint(kind: Kind, options: EndpointOptions): Promise<TestEndpoint> {
  const known = { ...options };
  const asks = kind !== 'no-client-certificates';
  const rejects = kind === 'tls';
  const settings = (): TlsOptions => tlsOptions(known, { requestCert: asks, rejectUnauthorized: rejects });
  const server =
    kind === 'kubernetes' || kind === 'kubelet'
      ? createHttpsServer(settings(), (request, response) => {
          const { status, text } = answer(kind, request.socket, request.url ?? '');
          response.writeHead(status, { 'content-type': 'application/json' }).end(text);
        })
      : createTlsServer(settings(), (socket) => {
          socket.on('error', () => undefined);
          socket.resume();
        });
  server.on('tlsClientError', () => undefined);
  const { port, connections, close } = await listen(server);
  return {
    port,
    address: `127.0.0.1:${String(port)}`,
    connections,
    reload: (change) => {
      Object.assign(known, change);
      server.setSecureContext(settings());
    },
    close,
  };
}

function tlsOptions({ leaf, chain = '', clientCas, tls }: EndpointOptions, rest: TlsOptions): TlsOptions {
  return {
    cert: leaf.certificatePem + chain,
    key: leaf.keyPem,
    ca: [...clientCas],
    ...(tls === undefined ? {} : { minVersion: tls, maxVersion: tls }),
    ...rest,
  };
}

/** As kube-apiserver and kubelet answer: 401 to a certificate that they do not believe, 403 to a user without rights. */
function answer(kind: 'kubernetes' | 'kubelet', socket: Socket, url: string): { status: number; text: string } {
  if (!(socket instanceof TLSSocket)) throw new Error('no TLS');
  const certificate = socket.getPeerX509Certificate();
  if (certificate !== undefined && !socket.authorized) return { status: 401, text: 'Unauthorized' };
  const user = certificate === undefined ? 'system:anonymous' : (/CN=(.*)/.exec(certificate.subject)?.[1] ?? '');
  if (kind === 'kubelet')
    return { status: 403, text: `Forbidden (user=${user}, verb=get, resource=nodes, subresource(s)=[healthz proxy])` };
  const message = `selfsubjectreviews.authentication.k8s.io is forbidden: User "${user}" cannot create resource`;
  if (certificate === undefined || url !== '/apis/authentication.k8s.io/v1/selfsubjectreviews')
    return { status: 403, text: JSON.stringify({ kind: 'Status', status: 'Failure', message, code: 403 }) };
  return { status: 201, text: JSON.stringify({ kind: 'SelfSubjectReview', status: { userInfo: { username: user } } }) };
}

/** A listener that does what `handle` does with each TCP connection. */
export async function startRaw(handle: (socket: Socket) => void): Promise<TestEndpoint> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    handle(socket);
  });
  const { port, connections, close } = await listen(server);
  return { port, address: `127.0.0.1:${String(port)}`, connections, reload: () => undefined, close };
}

/** The same behind a TLS handshake that asks for a client certificate and takes any. */
export async function startAfterHandshake(leaf: TestLeaf, handle: (socket: TLSSocket) => void): Promise<TestEndpoint> {
  const options = { cert: leaf.certificatePem, key: leaf.keyPem, requestCert: true, rejectUnauthorized: false };
  const server = createTlsServer(options, (socket) => {
    socket.on('error', () => undefined);
    handle(socket);
  });
  server.on('tlsClientError', () => undefined);
  const { port, connections, close } = await listen(server);
  return { port, address: `127.0.0.1:${String(port)}`, connections, reload: () => undefined, close };
}

async function listen(
  server: Server,
): Promise<{ port: number; connections: () => number; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
