import { connect } from 'node:tls';

import type { TestService, TlsCredential } from './service.js';

export type RawAnswer = { readonly status: number; readonly text: string };

/** Requests as text, written at once over one connection; the answers in the order in which they come. */
export async function exchange(
  { url, ca }: Pick<TestService, 'url' | 'ca'>,
  credential: TlsCredential,
  requests: readonly string[],
): Promise<RawAnswer[]> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), ca, cert: credential.cert, key: credential.key });
  try {
    socket.write(requests.join(''), 'latin1');
    let received = '';
    socket.setEncoding('latin1');
    socket.setTimeout(20_000, () => socket.destroy(new Error(`only ${received}`)));
    for await (const piece of socket) {
      received += String(piece);
      const answers = split(received);
      if (answers.length === requests.length) return answers;
    }
    throw new Error(`the connection ended after ${received}`);
  } finally {
    socket.destroy();
  }
}

/** The answers that are there in whole. */
function split(received: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = received; ;) {
    const head = /^HTTP\/1\.1 (\d{3})[^]*?\r\n\r\n/.exec(rest);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head?.[0] ?? '')?.[1]);
    if (head === null || Number.isNaN(length) || rest.length < head[0].length + length) return answers;
    answers.push({ status: Number(head[1]), text: rest.slice(head[0].length, head[0].length + length) });
    rest = rest.slice(head[0].length + length);
  }
}
