import { connect, type TLSSocket } from 'node:tls';

import type { ServiceProcess } from './service-process.js';

/** A TLS connection of one's own: what is written is what is sent. */
export type RawConnection = {
  readonly socket: TLSSocket;
  write(text: string | Buffer): void;
  /** Ends this side only. */
  halfClose(): void;
  /** What came so far. */
  received(): string;
  readonly closed: () => boolean;
  destroy(): void;
  /** Waits for a whole status line, the end of the connection, or the time to be over. */
  statusOrEnd(timeoutMs: number): Promise<number | 'closed' | 'silent'>;
};

export function rawConnection(
  service: ServiceProcess,
  options: { readonly read?: boolean } = {},
): Promise<RawConnection> {
  const { hostname, port } = new URL(service.url);
  return new Promise((resolve, reject) => {
    const state = { text: '', closed: false };
    const socket = connect({ host: hostname, port: Number(port), ca: service.ca, ...service.admin }, () => {
      resolve({
        socket,
        write: (text) => {
          if (!state.closed) socket.write(text);
        },
        halfClose: () => socket.end(),
        received: () => state.text,
        closed: () => state.closed,
        destroy: () => socket.destroy(),
        statusOrEnd: (timeoutMs) => outcome(state, timeoutMs),
      });
    });
    if (options.read === false) socket.pause();
    else {
      socket.on('data', (part: Buffer) => {
        if (state.text.length < 100_000) state.text += part.toString('latin1');
      });
    }
    const finish = (): void => {
      state.closed = true;
    };
    socket.on('close', finish).on('end', finish);
    socket.on('error', (error: Error) => {
      finish();
      reject(error);
    });
  });
}

async function outcome(
  state: { readonly text: string; readonly closed: boolean },
  timeoutMs: number,
): Promise<number | 'closed' | 'silent'> {
  for (let waited = 0; waited < timeoutMs; waited += 10) {
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(state.text)?.[1];
    if (status !== undefined) return Number(status);
    if (state.closed) return 'closed';
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return 'silent';
}
