import type { TLSSocket } from 'node:tls';

export type HttpAnswer = { readonly status: number; readonly headers: Map<string, string>; readonly body: string };

export type HttpReader = {
  /** The next whole answer. Rejects when the connection ends before. */
  answer(): Promise<HttpAnswer>;
  /** The next line of a streamed answer's body, its head passed over. Rejects when the stream ends. */
  line(): Promise<string>;
};

/** Reads HTTP/1.1 answers off a socket, one after the other: with a content-length, or chunked lines of a watch. */
export function createReader(socket: TLSSocket): HttpReader {
  let text = '';
  let ended: Error | undefined;
  let wake: (() => void) | undefined;
  let streaming = false;
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    text += chunk;
    wake?.();
  });
  const end = (error?: Error): void => {
    ended ??= error ?? new Error('the connection was closed');
    wake?.();
  };
  socket.on('error', end).on('close', () => {
    end();
  });
  const until = async <T>(take: () => T | undefined): Promise<T> => {
    for (;;) {
      const taken = take();
      if (taken !== undefined) return taken;
      if (ended !== undefined) throw ended;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  const takeHead = (): { status: number; headers: Map<string, string>; length: number } | undefined => {
    const at = text.indexOf('\r\n\r\n');
    if (at === -1) return undefined;
    const [first = '', ...lines] = text.slice(0, at).split('\r\n');
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    return { status: Number(first.split(' ')[1]), headers, length: at + 4 };
  };
  return {
    answer: () =>
      until(() => {
        const head = takeHead();
        if (head === undefined) return undefined;
        const size = Number(head.headers.get('content-length') ?? '0');
        if (text.length < head.length + size) return undefined;
        const body = text.slice(head.length, head.length + size);
        text = text.slice(head.length + size);
        return { status: head.status, headers: head.headers, body };
      }),
    line: () =>
      until(() => {
        if (!streaming) {
          const head = takeHead();
          if (head === undefined) return undefined;
          if (head.status !== 200) throw new Error(`watch: ${String(head.status)}`);
          text = text.slice(head.length);
          streaming = true;
        }
        // An event is one chunk; its size line and the empty line after it are passed over.
        const at = text.indexOf('}\n');
        if (at === -1) return undefined;
        const line = text.slice(text.indexOf('{'), at + 1);
        text = text.slice(at + 2);
        return line;
      }),
  };
}
