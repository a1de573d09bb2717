import type { RingConfig } from '../ca/types.js';
import type { Retention } from '../csr/retention.js';
import type { ConfigMapDraft } from '../config-maps/types.js';
import type { ConfiguredConsumer } from '../fleet/consumers/types.js';
import type { Profile } from '../csr/types.js';
import type { Limits } from '../limits/types.js';
import type { FrontProxyConfig } from './front-proxy.js';
import type { RenewalConfig } from './renewal.js';
import type { RotationConfig } from './rotation.js';

/** Which ring serves which purpose. kubeadm's layout by default; splitting and collapsing is naming other rings here. */
export type Topology = {
  /** Client certificates of kubelets and Kubernetes users. */
  readonly kubernetesClient: string;
  /** Serving certificates of API servers and kubelets, and of this service. */
  readonly kubernetesServer: string;
  readonly etcdPeer: string;
  readonly etcdServer: string;
  readonly etcdClient: string;
  readonly frontProxy: string;
  /** The service's own administrators, operators and viewers. */
  readonly rotunda: string;
};

export type KeyEncryptionKeySource =
  | { readonly kind: 'generated'; readonly file: string }
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'passphrase'; readonly passphrase: string };

/** The whole configuration, validated and frozen. Secrets are not in it. */
export type Config = {
  readonly dataDir: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Where probes are answered over plain HTTP; nowhere when left out. */
  readonly healthListen: { readonly host: string; readonly port: number } | undefined;
  /** `sqlite:PATH` or `postgres://…`. */
  readonly storeUrl: string;
  readonly serving: { readonly names: readonly string[] };
  /** The server that kubeconfigs name; undefined: the listener's own address. */
  readonly advertiseUrl: string | undefined;
  readonly keyEncryptionKey: KeyEncryptionKeySource;
  readonly rings: readonly RingConfig[];
  readonly topology: Topology;
  readonly profiles: readonly Profile[];
  /** `enrolled`: unbound tokens serve expected nodes only. `upstream`: any node name, as kube-controller-manager does. */
  readonly nodeApproval: 'enrolled' | 'upstream';
  /** False where a CA is shared that must not be: then no request header says who calls. */
  readonly headerTrust: boolean;
  readonly frontProxy: FrontProxyConfig;
  readonly retention: Retention;
  readonly limits: Limits;
  readonly renewal: RenewalConfig;
  readonly rotation: RotationConfig;
  /** Programs that nobody else registers. */
  readonly consumers: readonly ConfiguredConsumer[];
  readonly kubernetes: {
    /** Absolute. A kubeconfig for the API server that the service stands behind; undefined: the service makes its own. */
    readonly kubeconfig: string | undefined;
    /** `https://host:port` without a slash at the end; undefined: this service is what is published. */
    readonly apiServer: string | undefined;
    /** What `kubeadm join` reads, from files. */
    readonly configMaps: readonly ConfigMapDraft[];
  };
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent' };
};
