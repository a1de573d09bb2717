import type { FieldCause } from '../errors.js';
import type { Identity } from '../identity/types.js';
import type { WriteTx } from '../store/types.js';

/** An enrolled machine. It carries the names and addresses that its requests may ask for; its own name counts as a DNS name. */
export type Node = {
  readonly name: string;
  readonly uid: string;
  readonly state: 'expected' | 'joined' | 'disabled';
  readonly addresses: readonly string[];
  readonly dnsNames: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly joinedAt: number | undefined;
  readonly disabledAt: number | undefined;
  /** What kubectl and others note on it. */
  readonly annotations: Readonly<Record<string, string>>;
  /** resourceVersion of its last change. */
  readonly revision: number;
};

export type NodeDraft = {
  readonly name: string;
  readonly addresses?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
};

/** A node as somebody wants it as a whole: what is left out is empty. */
export type NodeEdit = Omit<NodeDraft, 'name'> & { readonly disabled?: boolean };

export type NodeImport = {
  /** At most 1000. */
  readonly nodes: readonly NodeDraft[];
  /**
   * What becomes of a node that is enrolled with other facts: a conflict, its facts added to, or those that the draft
   * gives replaced. One that is enrolled like that already is left alone in any case.
   */
  readonly existing: 'refuse' | 'merge' | 'replace';
  /** Whether an address or DNS name may belong to several nodes; otherwise that is a conflict. */
  readonly allowShared: boolean;
  /** Tells what would become of each draft, and changes nothing. */
  readonly dryRun: boolean;
};

/** What became, or would become, of one draft. */
export type ImportedNode = {
  readonly name: string;
  readonly outcome: 'created' | 'updated' | 'unchanged' | 'conflict';
  readonly state: Node['state'];
  /** The facts that differ from what was enrolled. */
  readonly changes: readonly NodeFact[];
  /** Why it is a conflict. */
  readonly problems: readonly FieldCause[];
};

export type NodeFact = 'addresses' | 'dnsNames' | 'labels';

/** What is given replaces what is enrolled; what is added stands beside it, and what is removed goes. */
export type NodeChange = Omit<NodeDraft, 'name'> & {
  readonly addAddresses?: readonly string[];
  readonly addDnsNames?: readonly string[];
  readonly removeAddresses?: readonly string[];
  readonly removeDnsNames?: readonly string[];
};

/** `notAfter` in milliseconds. */
export type NodeCertificate = { readonly serial: string; readonly notAfter: number };

export type NodeFilter = {
  readonly state?: Node['state'];
  readonly matches?: (node: Node) => boolean;
};

export type Nodes = {
  /** Throws 'already-exists', 'invalid' (RFC 1123 name, IP text, DNS names). */
  enrol(draft: NodeDraft, actor: Identity): Promise<Node>;
  /** Enrols or adds to what is enrolled, inside a caller's transaction (token creation). */
  ensure(tx: WriteTx, draft: NodeDraft, actor: Identity): Promise<Node>;
  /** As enrol, disabled from the start where the edit says so. With `dryRun` it checks, and writes nothing. */
  add(name: string, edit: NodeEdit, options: { actor: Identity; dryRun: boolean }): Promise<Node>;
  /**
   * Makes of a node what `change` wants of its current state; that runs inside the transaction, perhaps more than once.
   * A change of nothing writes nothing. Throws what `change` throws, 'not-found', 'invalid'.
   */
  edit(name: string, change: (current: Node) => NodeEdit, options: { actor: Identity; dryRun: boolean }): Promise<Node>;
  /** Replaces addresses, names, labels where given, and adds addresses and names. */
  update(name: string, change: NodeChange, actor: Identity): Promise<Node>;
  /** Many at once, all or none. Throws 'invalid' with the broken rules of every draft, 'conflict' with every conflict unless it only asks. */
  import(order: NodeImport, actor: Identity): Promise<readonly ImportedNode[]>;
  list(
    options: { limit: number; continue?: string } & NodeFilter,
  ): Promise<{ items: readonly Node[]; continue: string | undefined }>;
  /** Throws 'not-found'. */
  get(name: string): Promise<Node>;
  find(name: string): Promise<Node | undefined>;
  /** Bans the node's identity at once: its certificates and every renewal are refused. */
  disable(name: string, options: { actor: Identity; reason?: string }): Promise<Node>;
  enable(name: string, actor: Identity): Promise<Node>;
  /** The machine is being rebuilt under its old name: expected again; the next certificate bans the ones before. */
  replace(name: string, actor: Identity): Promise<Node>;
  /** Returns its last state. `check` runs inside the transaction; what it throws keeps the node. */
  delete(name: string, actor: Identity, options?: { check?: (current: Node) => void; dryRun?: boolean }): Promise<Node>;
  /** By node, its client certificate that lasts longest; at most 500 names. Nodes without a live one are left out. */
  certificates(names: readonly string[]): Promise<ReadonlyMap<string, NodeCertificate>>;
  /** A page by name behind `after`, and the revision at which it is true. */
  snapshot(page: { limit: number; after?: string }): Promise<{ items: readonly Node[]; revision: number }>;
  /**
   * An unbound token gives this node `serial`, inside issuing's transaction: bans the serial it replaces while the node
   * is still expected. Throws 'forbidden' when the node is not expected (any more) or was replaced 5 times.
   */
  claim(tx: WriteTx, claim: { node: string; profile: string; serial: string; now: number }): Promise<void>;
  /**
   * A certificate of this node is being given to it, whoever asked: while the machine is being replaced, bans all that
   * were issued before, unless `requester` (a user name) is the node itself: then it is the old machine that renews.
   * Throws 'forbidden' for a disabled node.
   */
  issued(tx: WriteTx, certificate: { node: string; serial: string; now: number; requester?: string }): Promise<void>;
  /**
   * A certificate of this node authenticated for the first time: joined, unless it is the old machine of a replacement.
   * `rebuilt`: it was given to a token that is bound to this node and serves once; on a node that had joined it bans the
   * certificates issued before.
   */
  firstUsed(
    tx: WriteTx,
    use: { node: string; serial: string; requester: string; issuedAt: number; now: number; rebuilt: boolean },
  ): Promise<void>;
  /** The node's first certificate authenticated: joined. */
  joined(tx: WriteTx, name: string, now: number): Promise<void>;
};

export type EtcdCluster = {
  readonly name: string;
  readonly clientNames: readonly string[];
  readonly createdAt: number;
  readonly createdBy: string;
};

export type EtcdMember = {
  readonly cluster: string;
  readonly name: string;
  readonly uid: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** Hosts of the URLs and what was enrolled beside them. */
  readonly addresses: readonly string[];
  readonly dnsNames: readonly string[];
  readonly state: 'expected' | 'joined' | 'disabled';
  readonly createdAt: number;
  readonly createdBy: string;
};

export type EtcdMemberDraft = {
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly addresses?: readonly string[];
  readonly dnsNames?: readonly string[];
};

export type EtcdClusters = {
  create(draft: { name: string; clientNames?: readonly string[] }, actor: Identity): Promise<EtcdCluster>;
  update(name: string, change: { clientNames: readonly string[] }, actor: Identity): Promise<EtcdCluster>;
  list(): Promise<readonly EtcdCluster[]>;
  get(name: string): Promise<EtcdCluster>;
  /** Refused while it has members. */
  delete(name: string, actor: Identity): Promise<void>;
  addMember(cluster: string, draft: EtcdMemberDraft, actor: Identity): Promise<EtcdMember>;
  updateMember(
    cluster: string,
    name: string,
    change: Partial<Omit<EtcdMemberDraft, 'name'>>,
    actor: Identity,
  ): Promise<EtcdMember>;
  members(cluster: string): Promise<readonly EtcdMember[]>;
  member(cluster: string, name: string): Promise<EtcdMember>;
  /** Removes the member and bans its certificates. */
  removeMember(cluster: string, name: string, actor: Identity): Promise<void>;
};

/** Called where a machine or member is forgotten, in the same transaction: what is kept for it goes too. */
export type HolderForgotten = (
  tx: WriteTx,
  holder: { readonly node: string } | { readonly cluster: string; readonly member: string },
  actor: Identity,
) => Promise<void>;

/** Called after enrolment changed, so that waiting requests are looked at again. */
export type FactsChanged = (scope: { node?: string; nodes?: readonly string[] }) => void;
