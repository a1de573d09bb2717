import { rootCause } from '../errors.js';
import { type Failure, isFailure, localFailure, type Problem as Shown, remoteFailure } from './failure.js';

type Problem = Shown & {
  readonly detail?: string;
  readonly title?: string;
  readonly hint?: string;
  readonly errors?: readonly { readonly field?: string; readonly message: string; readonly hint?: string }[];
};

/** The server's problem details as a failure. */
export function explainProblem(status: number, text: string): Failure {
  const problem = parseProblem(text);
  if (problem?.code === undefined) {
    return remoteFailure(`the server answered ${status} without problem details`, {
      hints: ['is this the address of a Rotunda service, or of something in front of it?'],
    });
  }
  const errors = problem.errors ?? [];
  const fields = errors.map(({ field, message }) => (field === undefined ? message : `${field}: ${message}`));
  // A single broken field is already the whole detail.
  const details = fields.length > 1 ? fields : [];
  const hints = [problem.hint, ...errors.map(({ hint }) => hint)].filter((hint) => hint !== undefined);
  const message =
    fields.length === 1 ? fields[0] : fields.length > 1 ? `${fields.length} fields break rules` : problem.detail;
  return remoteFailure(`${message ?? problem.title ?? 'refused'} (${problem.code})`, {
    details,
    hints: [...new Set(hints)],
    problem,
  });
}

function parseProblem(text: string): Problem | undefined {
  try {
    return JSON.parse(text) as Problem;
  } catch {
    return undefined;
  }
}

type Explanation = { readonly message: string; readonly hint: string };

const explanations: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: { message: 'nothing listens there', hint: 'is the service started, and is this its address?' },
  ENOTFOUND: { message: 'the host name is not known', hint: 'check the host name in --server or in the kubeconfig' },
  EAI_AGAIN: { message: 'the host name cannot be looked up now', hint: 'check the DNS of this machine' },
  EHOSTUNREACH: { message: 'there is no route to the host', hint: 'check the network of this machine' },
  ENETUNREACH: { message: 'there is no route to the network', hint: 'check the network of this machine' },
  ECONNRESET: {
    message: 'the connection was closed by the other side',
    hint: 'is it a TLS port, and is the service still running?',
  },
  UND_ERR_SOCKET: { message: 'the connection was closed by the other side', hint: 'is the service still running?' },
  UND_ERR_CONNECT_TIMEOUT: { message: 'no connection in time', hint: 'a firewall may drop it; --timeout waits longer' },
  ETIMEDOUT: { message: 'no connection in time', hint: 'a firewall may drop it; --timeout waits longer' },
  UND_ERR_HEADERS_TIMEOUT: {
    message: 'no answer in time',
    hint: '--timeout waits longer; the service log says what it does',
  },
  UND_ERR_BODY_TIMEOUT: { message: 'the answer stopped', hint: '--timeout waits longer' },
  CERT_HAS_EXPIRED: {
    message: 'its certificate has expired',
    hint: 'compare the clocks; the service renews its certificate while it runs',
  },
  CERT_NOT_YET_VALID: {
    message: 'its certificate is not valid yet',
    hint: 'compare the clocks of this machine and of the server',
  },
  EPROTO: { message: 'the TLS handshake failed', hint: 'is it a TLS port?' },
  ERR_SSL_WRONG_VERSION_NUMBER: { message: 'it does not speak TLS', hint: 'is this the port of the service?' },
};

const untrusted = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
]);

/** What went wrong between here and the server, in words. Failures pass through. */
export function explainNetworkError(error: unknown, server: string): Failure {
  if (isFailure(error)) return error;
  const { code, message } = rootCause(error);
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return remoteFailure(`${server} has a certificate for other names`, {
      cause: error,
      hints: ['connect by a name or address of the certificate, or add this one to serving.names in the configuration'],
    });
  }
  if (untrusted.has(code)) {
    return remoteFailure(`${server} has a certificate that is not from the expected authority`, {
      cause: error,
      hints: ['it is another service, or its rings were made anew: take its current admin.kubeconfig, bundle or pin'],
    });
  }
  if (code.startsWith('ERR_OSSL') || code === 'ERR_CRYPTO_INVALID_KEYTYPE') {
    return localFailure(`the certificate, key or CA cannot be used: ${message}`, { cause: error });
  }
  const explanation = explanations[code];
  if (explanation === undefined) return remoteFailure(`cannot reach ${server}: ${message}`, { cause: error });
  return remoteFailure(`cannot reach ${server}: ${explanation.message}`, { cause: error, hints: [explanation.hint] });
}
