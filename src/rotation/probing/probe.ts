import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';

import { forbiddenAddressError, guardedLookup, isForbiddenAddress } from './endpoint.js';
import { commonNameOf, leafOf, presentedBy } from './handshake.js';
import { endingOf } from './refusal.js';
import { readReply, requestFor } from './replies.js';
import type { ProbeAnswer, ProbeOptions } from './types.js';

/** Of an answer no more than this is read, bytes. Beyond it the endpoint is cut off. */
const longestAnswer = 16 * 1024;
/** Bytes on the wire of one probe, certificates and tickets included. */
const mostReceived = 512 * 1024;
const watchMs = 50;

type Verdict = Omit<ProbeAnswer, 'presented'>;

/** One probe on its way. */
type Talk = {
  readonly options: ProbeOptions;
  readonly socket: TLSSocket;
  /** The common name of the client certificate. */
  readonly user: string;
  presented: readonly Buffer[];
  secure: boolean;
  /** This side has said all that it has to say. */
  ended: boolean;
  wrote: boolean;
  text: string;
  conclude(verdict: Verdict): void;
};

/**
 * One TLS connection to an endpoint: what it presents, and whether it takes the client certificate. Trusts nothing that
 * comes from there, sends nothing that is secret, resumes no session, and is bounded in time and bytes. Rejects only for a
 * client certificate that cannot be used.
 */
export async function probeEndpoint(options: ProbeOptions): Promise<ProbeAnswer> {
  const { host, port, clientCertificate: given, protocol, timeoutMs } = options;
  const user = given === undefined ? '' : commonNameOf(given);
  if (isIP(host) !== 0 && isForbiddenAddress(host)) {
    const { detail } = endingOf(forbiddenAddressError(host));
    return { ...unreachable(detail), presented: [] };
  }
  const serverName = options.serverName ?? (isIP(host) === 0 ? host : undefined);
  const socket = connect({
    host,
    port,
    lookup: guardedLookup,
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(given === undefined ? {} : { cert: leafOf(given), key: given.keyPem }),
    ...(protocol === 'tls' ? {} : { ALPNProtocols: ['http/1.1'] }),
    // Nothing is verified here, and no certificate of a store may complete the chain that is presented.
    ca: [],
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  return new Promise((resolve) => {
    const talk = talkOver(socket, options, user, resolve);
    const deadline = setTimeout(() => {
      const what = talk.secure ? 'it did not answer' : 'no handshake came about';
      talk.conclude(unreachable(`${what} within ${timeoutMs} ms`));
    }, timeoutMs);
    const watch = setInterval(() => {
      if (socket.bytesRead > mostReceived) tooMuch(talk);
    }, watchMs);
    const breakOff = (): void => talk.conclude(unreachable('broken off'));
    options.signal?.addEventListener('abort', breakOff, { once: true });
    if (options.signal?.aborted === true) breakOff();
    socket.on('close', () => {
      clearTimeout(deadline);
      clearInterval(watch);
      options.signal?.removeEventListener('abort', breakOff);
    });
  });
}

function talkOver(
  socket: TLSSocket,
  options: ProbeOptions,
  user: string,
  resolve: (answer: ProbeAnswer) => void,
): Talk {
  const talk: Talk = {
    ...{ options, socket, user, presented: [], secure: false, ended: false, wrote: false, text: '' },
    conclude: (verdict) => {
      socket.destroy();
      resolve({ ...verdict, presented: talk.presented });
    },
  };
  socket.once('secureConnect', () => {
    talk.secure = true;
    talk.presented = presentedBy(socket);
    begin(talk);
  });
  socket.on('session', () => {
    // TLS 1.3: a server that hands out a ticket has looked at the certificate. Node cannot write while it takes one in.
    setImmediate(ask, talk);
  });
  socket.on('data', (chunk: Buffer) => {
    heard(talk, chunk);
  });
  socket.on('error', (error: Error) => {
    failed(talk, error);
  });
  socket.on('end', () => {
    closed(talk);
  });
  socket.on('close', () => {
    closed(talk);
  });
  return talk;
}

/** The handshake is over on this side. In TLS 1.3 the server has not looked at the certificate yet. */
function begin(talk: Talk): void {
  const { options, socket } = talk;
  const { clientCertificate, protocol, timeoutMs, quietMs = Math.min(1000, timeoutMs / 3) } = options;
  if (clientCertificate === undefined) {
    talk.conclude({ outcome: 'yes', certain: true, detail: 'it presented a certificate' });
    return;
  }
  if (protocol !== 'tls') {
    // What is written before a server has sent its alert may turn that into a reset. A ticket says that none comes.
    if (socket.getProtocol() === 'TLSv1.3') setTimeout(ask, quietMs, talk);
    else ask(talk);
    return;
  }
  setTimeout(() => {
    // Whatever is said about the certificate comes before the answer to this end: the server reads in order.
    talk.ended = true;
    socket.end();
  }, quietMs);
}

function ask(talk: Talk): void {
  const { options, socket } = talk;
  const { protocol, host } = options;
  if (protocol === 'tls' || !talk.secure || talk.wrote || socket.destroyed) return;
  talk.wrote = true;
  socket.write(requestFor(protocol, isIP(host) === 6 ? `[${host}]` : host));
}

function heard(talk: Talk, chunk: Buffer): void {
  const { protocol } = talk.options;
  if (talk.text.length < longestAnswer) talk.text += chunk.toString('latin1');
  if (talk.socket.bytesRead > mostReceived) tooMuch(talk);
  if (protocol === 'tls') return;
  const full = talk.text.length >= longestAnswer;
  const reply = readReply(protocol, talk.text, talk.user, full);
  if (reply !== undefined) talk.conclude(reply);
}

function failed(talk: Talk, error: Error): void {
  const ending = endingOf(error);
  if (ending.kind === 'closed') closed(talk);
  else if (ending.kind === 'failed' || talk.options.clientCertificate === undefined)
    talk.conclude(unreachable(ending.detail));
  else talk.conclude({ outcome: 'no', certain: ending.certain, detail: ending.detail });
}

function closed(talk: Talk): void {
  const { protocol, clientCertificate } = talk.options;
  if (clientCertificate === undefined) {
    talk.conclude(unreachable('it closed the connection'));
  } else if (talk.text !== '' && protocol !== 'tls') {
    const reply = readReply(protocol, talk.text, talk.user, true);
    if (reply !== undefined) talk.conclude(reply);
  } else if (protocol === 'tls' && talk.ended) {
    talk.conclude({ outcome: 'yes', certain: true, detail: 'it kept the connection until this side ended it' });
  } else {
    talk.conclude({ outcome: 'no', certain: false, detail: 'it closed the connection' });
  }
}

function tooMuch(talk: Talk): void {
  if (talk.options.protocol === 'tls' && talk.text !== '')
    talk.conclude({ outcome: 'yes', certain: true, detail: 'it sends without end' });
  else talk.conclude(unreachable('it sends without end'));
}

function unreachable(detail: string): Verdict {
  return { outcome: 'unreachable', certain: false, detail };
}
