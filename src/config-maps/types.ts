import type { Identity } from '../identity/types.js';

export type ConfigMapKey = { readonly namespace: string; readonly name: string };

/** What a ConfigMap says, as opposed to which one it is. */
export type ConfigMapContent = {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
};

/** A ConfigMap as somebody writes it: a manifest. */
export type ConfigMapDraft = ConfigMapKey & ConfigMapContent;

export type ConfigMap = ConfigMapDraft & {
  readonly uid: string;
  /** resourceVersion of the last change. */
  readonly revision: number;
  readonly createdAt: number;
};

type How = { readonly dryRun: boolean };

/**
 * The ConfigMaps that joining nodes read. `kube-public/cluster-info` and `kube-root-ca.crt` of every namespace follow from
 * tokens and bundles; `kubeadm-config` and `kubelet-config` of kube-system come from configuration, or, where it has
 * none, from an administrator.
 */
export type ConfigMaps = {
  /** Throws 'forbidden' for cluster-info where clients and servers have separate authorities. */
  get(key: ConfigMapKey): Promise<ConfigMap | undefined>;
  /** Of one namespace, or of all that Kubernetes begins with; by namespace and name. */
  list(namespace: string | undefined): Promise<{ readonly items: readonly ConfigMap[]; readonly revision: number }>;
  /** Throws 'forbidden' for any but the two, 'invalid', 'already-exists'. */
  create(draft: ConfigMapDraft, actor: Identity, how: How): Promise<ConfigMap>;
  /** `decide` runs in the transaction, perhaps more than once. Throws as `create`, and 'not-found'. */
  change(
    key: ConfigMapKey,
    decide: (current: ConfigMap) => ConfigMapContent,
    actor: Identity,
    how: How,
  ): Promise<ConfigMap>;
  /** `check` throws to refuse. Returns the last state. */
  remove(key: ConfigMapKey, check: (current: ConfigMap) => void, actor: Identity, how: How): Promise<ConfigMap>;
  /** Brings what was read before up to date, for those who watch. */
  refresh(): Promise<void>;
};
