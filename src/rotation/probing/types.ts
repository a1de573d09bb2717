/**
 * How an endpoint is asked whether it takes a client certificate. `kubernetes`: API servers and whatever delegates its
 * authentication to one. `tls`: by TLS alone.
 */
export type ProbeProtocol = 'tls' | 'kubernetes' | 'kubelet' | 'etcd';

export type ProbeOutcome = 'yes' | 'no' | 'unreachable';

/** PEM; of the certificate nothing but the first block is presented. */
export type ClientCertificate = { readonly certificatePem: string; readonly keyPem: string };

export type ProbeOptions = {
  /** An IP address, or a name that is resolved. */
  readonly host: string;
  readonly port: number;
  /** For SNI; the host, where that is a name, when left out. */
  readonly serverName?: string;
  /** Left out: only what the endpoint presents is looked at. */
  readonly clientCertificate?: ClientCertificate;
  readonly protocol: ProbeProtocol;
  /** For all of it, milliseconds. */
  readonly timeoutMs: number;
  /**
   * How long an endpoint that turns a certificate away may take to say so, milliseconds; others are waited for as long, where
   * they give no sign before. A third of `timeoutMs`, at most a second, when left out.
   */
  readonly quietMs?: number;
  readonly signal?: AbortSignal;
};

export type ProbeAnswer = {
  /**
   * Whether the client certificate was accepted; without one, whether a handshake came about. `unreachable`: nothing can
   * be said about it.
   */
  readonly outcome: ProbeOutcome;
  /** Of a `no`: it was said so, by an alert about the certificate or a 401. Otherwise it was inferred, from the end of the connection. */
  readonly certain: boolean;
  /** In words; nothing that the endpoint sent is in it. */
  readonly detail: string;
  /** The certificates that the endpoint sent, DER, in the order in which they were sent. */
  readonly presented: readonly Buffer[];
  /** Which of an etcd member's listeners answered. */
  readonly listener?: 'etcd-client' | 'etcd-peer';
};
