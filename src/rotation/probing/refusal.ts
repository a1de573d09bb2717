import { rootCause } from '../../errors.js';
import { forbiddenAddressCode } from './endpoint.js';

/** Alerts by which a server turns a client's certificate away because of who signed it (RFC 8446 section 6.2; Go and OpenSSL use the first two, Java the third). */
const distrusted = ['UNKNOWN_CA', 'BAD_CERTIFICATE', 'CERTIFICATE_UNKNOWN'];
/** Alerts about a client's certificate that have other reasons: its dates, its type, or that none came. */
const otherwiseRefused = [
  'CERTIFICATE_EXPIRED',
  'CERTIFICATE_REVOKED',
  'UNSUPPORTED_CERTIFICATE',
  'CERTIFICATE_REQUIRED',
  'ACCESS_DENIED',
  'DECRYPT_ERROR',
];

const connectionEnded = ['ECONNRESET', 'EPIPE', 'ECONNABORTED'];

export type Ending =
  | { readonly kind: 'refused'; readonly certain: boolean; readonly detail: string }
  /** Without a word about the certificate. */
  | { readonly kind: 'closed'; readonly detail: string }
  | { readonly kind: 'failed'; readonly detail: string };

/** What the end of a connection by an error says about the client certificate that was presented in it. */
export function endingOf(error: unknown): Ending {
  const { code, message } = rootCause(error);
  const alert = /_ALERT_([A-Z_]+)$/.exec(code)?.[1];
  if (alert !== undefined) {
    const detail = `it sent the alert ${alert.toLowerCase()}`;
    if (distrusted.includes(alert)) return { kind: 'refused', certain: true, detail };
    if (otherwiseRefused.includes(alert)) return { kind: 'refused', certain: false, detail };
    return { kind: 'failed', detail };
  }
  if (connectionEnded.includes(code)) return { kind: 'closed', detail: 'it closed the connection' };
  if (code === forbiddenAddressCode) return { kind: 'failed', detail: message };
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return { kind: 'failed', detail: 'it does not speak TLS' };
  return { kind: 'failed', detail: code === '' ? 'the connection failed' : `the connection failed: ${code}` };
}
