import type { ClusterObject } from './client.js';

/** How the API server finds the service. */
export type Backend =
  | { readonly kind: 'external-name'; readonly host: string }
  | { readonly kind: 'endpoints'; readonly addresses: readonly string[] }
  | { readonly kind: 'selector'; readonly labels: Readonly<Record<string, string>> };

/** The Service object that the group is handed to. The serving certificate carries `<name>.<namespace>.svc`. */
export type ServiceReference = { readonly name: string; readonly namespace: string; readonly port: number };

export type ApiService = ClusterObject & {
  readonly spec: {
    readonly group: string;
    readonly version: string;
    readonly groupPriorityMinimum: number;
    readonly versionPriority: number;
    readonly service?: { readonly name?: string; readonly namespace?: string; readonly port?: number } | null;
    /** base64 of PEM. */
    readonly caBundle?: string | null;
  };
  readonly status?: { readonly conditions?: readonly ApiServiceCondition[] };
};

export type ApiServiceCondition = {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
};

/** A CertificateSigningRequest as the API server has it. */
export type ClusterRequest = ClusterObject & {
  readonly spec: {
    readonly request: string;
    readonly signerName: string;
    readonly expirationSeconds?: number;
    readonly usages?: readonly string[];
    readonly username?: string;
    readonly uid?: string;
    readonly groups?: readonly string[];
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
  readonly status?: {
    readonly certificate?: string;
    readonly conditions?: readonly { readonly type: string; readonly reason?: string; readonly message?: string }[];
  };
};
