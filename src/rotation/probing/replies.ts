import type { ProbeAnswer, ProbeProtocol } from './types.js';

export type Reply = Omit<ProbeAnswer, 'presented'>;
export type Asked = Exclude<ProbeProtocol, 'tls'>;

const review = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' });

/**
 * A request that changes nothing, and needs no more than that the caller is known. The kubelet's /healthz, unlike /pods,
 * tells nothing where it lets everybody in.
 */
const requests: Readonly<Record<Asked, { readonly line: string; readonly body: string }>> = {
  kubernetes: { line: 'POST /apis/authentication.k8s.io/v1/selfsubjectreviews', body: review },
  kubelet: { line: 'GET /healthz', body: '' },
  etcd: { line: 'GET /health', body: '' },
};

/** HTTP/1.1, byte for byte. */
export function requestFor(protocol: Asked, host: string): string {
  const { line, body } = requests[protocol];
  const content = body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${body.length}`];
  const headers = [`Host: ${host}`, 'User-Agent: rotunda-probe', 'Accept: application/json', ...content];
  return `${[`${line} HTTP/1.1`, ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`;
}

/**
 * What an answer so far says about the caller's certificate, whose common name is `user`. Undefined: more has to come.
 * `ended`: nothing more will.
 */
export function readReply(protocol: Asked, text: string, user: string, ended: boolean): Reply | undefined {
  const status = Number(/^HTTP\/1\.[01] (\d{3})[ \r]/.exec(text)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) {
    if (!ended && couldBeHttp(text)) return undefined;
    return { outcome: 'unreachable', certain: false, detail: 'it does not answer as HTTP' };
  }
  if (protocol === 'etcd') return etcdReply(status);
  if (status === 401) return { outcome: 'no', certain: true, detail: 'it answered 401' };
  if (namesUser(text, user))
    return { outcome: 'yes', certain: true, detail: `it answered ${status} to the user of the certificate` };
  if (/system:anonymous/.test(text))
    return { outcome: 'no', certain: false, detail: `it answered ${status} to an anonymous user` };
  if (protocol === 'kubelet' && status === 200) return { outcome: 'yes', certain: true, detail: 'it answered 200' };
  if (!ended) return undefined;
  return { outcome: 'unreachable', certain: false, detail: `it answered ${status}, and not to whom` };
}

function couldBeHttp(text: string): boolean {
  const start = 'HTTP/1.';
  return text.length < 16 && (text.startsWith(start) || start.startsWith(text));
}

/** A member answers HTTP only to who has got through its handshake; health is served to clients, and not found by peers. */
function etcdReply(status: number): Reply {
  const listener = status === 404 ? 'etcd-peer' : 'etcd-client';
  return { outcome: 'yes', certain: true, detail: `it answered ${status}`, listener };
}

/** As in a SelfSubjectReview, in the API server's `User "x" cannot …`, or in the kubelet's `Forbidden (user=x, …`. */
function namesUser(text: string, user: string): boolean {
  return (
    /"username"\s*:\s*"([^"]*)"/.exec(text)?.[1] === user ||
    text.includes(`User \\"${user}\\"`) ||
    text.includes(`User "${user}"`) ||
    text.includes(`(user=${user},`)
  );
}
