import type { IssuedCertificate } from '../ca/types.js';
import type { ReadCsr } from '../ca/x509/types.js';
import type { ImportedRequest } from './import.js';
import type { Identity, TokenFacts } from '../identity/types.js';
import type { AskedAs } from './asked-as.js';
import type { StatedBundle } from './join-floor.js';
import type { Replay, ReplayOptions } from './replay.js';
import type { WriteTx } from '../store/types.js';

export type OwnerReference = Record<string, unknown>;
export type ManagedFieldsEntry = Record<string, unknown>;

/** meta/v1 ObjectMeta, as on the wire; empty fields are left out. */
export type ObjectMeta = {
  name: string;
  generateName?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  /** RFC 3339, whole seconds, UTC. */
  creationTimestamp: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: ManagedFieldsEntry[];
};

export type RequestSpec = {
  /** base64 of the PEM text. */
  request: string;
  signerName: string;
  expirationSeconds?: number;
  usages?: string[];
  username?: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
};

export type Condition = {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastUpdateTime?: string;
  lastTransitionTime?: string;
};

export type RequestStatus = { conditions?: Condition[]; /** base64 of PEM. */ certificate?: string };

/** A CSR on its way: the same object that Kubernetes clients see, without kind and apiVersion. */
export type CertificateRequest = { metadata: ObjectMeta; spec: RequestSpec; status: RequestStatus };

/** What a caller sends to create a request; metadata that the server owns is ignored, identity is taken from authentication. */
export type RequestDraft = {
  readonly metadata: Partial<ObjectMeta>;
  readonly spec: Partial<RequestSpec>;
  /** `/pki/v1` takes exactly one PEM block and nothing else; `/apis` what upstream takes. */
  readonly pem: 'strict' | 'upstream';
  /** What the caller says that it holds, `{}` for nothing; undefined where clients cannot say. */
  readonly bundle?: StatedBundle;
  /** For managedFields. */
  readonly fieldManager?: string;
};

export type RuleKind = 'hard' | 'fact';
export type RuleOutcome = 'passed' | 'failed' | 'missing';

/** One rule's verdict. `failed` denies; `missing` (a fact is not there yet) holds. */
export type RuleResult = {
  readonly rule: string;
  readonly kind: RuleKind;
  readonly outcome: RuleOutcome;
  readonly message: string;
};

/** The explained verdict over one request. */
export type Decision = {
  readonly outcome: 'approve' | 'deny' | 'hold';
  /** CamelCase, for conditions and metrics. */
  readonly reason: string;
  readonly message: string;
  /** When a held request is looked at again, milliseconds. */
  readonly retryAt?: number;
  readonly rules: readonly RuleResult[];
};

/** A decision with what is known about the request: `refuse` is for a draft that create would not take. */
export type Explanation = Omit<Decision, 'outcome'> & {
  readonly outcome: Decision['outcome'] | 'refuse';
  /** Where the request is in its life; undefined for a draft. */
  readonly state?: 'pending' | 'approved' | 'denied' | 'failed' | 'issued';
  /** The condition that decided, where one did; `at` is RFC 3339. */
  readonly decided?: {
    readonly condition: 'Approved' | 'Denied' | 'Failed';
    readonly reason: string;
    readonly message: string;
    readonly at?: string;
  };
  /** Whether the rules saw the facts of today, or those that were recorded when it was decided. */
  readonly facts: 'today' | 'recorded';
};

/** Shape of what may be issued under one signer name, validated. */
export type Profile = {
  readonly signerName: string;
  readonly ring: string;
  readonly description: string;
  readonly approval: 'node-client' | 'node-serving' | 'etcd-member' | 'etcd-client' | 'control-plane' | 'person';
  /** Exact O values; undefined: any that are not reserved. */
  readonly organizations?: readonly string[];
  /** Exact CN, or a prefix (upstream allows nothing behind it); undefined: any. */
  readonly commonName?: { readonly exact: string } | { readonly prefix: string };
  readonly names: {
    readonly dns: boolean;
    readonly ip: boolean;
    readonly email: boolean;
    readonly uri: boolean;
    readonly atLeastOne: boolean;
  };
  /** Allowed usage sets: `required` must all be there, `optional` may. */
  readonly usages: { readonly required: readonly string[]; readonly optional: readonly string[] };
  /** Milliseconds. */
  readonly lifetime: { readonly standard: number; readonly longest: number };
};

/** How a request is listed. Selectors are already parsed. */
export type RequestFilter = {
  readonly name?: string;
  readonly matches?: (request: CertificateRequest) => boolean;
  readonly signerName?: string;
  readonly state?: 'pending' | 'approved' | 'denied' | 'failed' | 'issued';
  readonly limit?: number;
  readonly continue?: string;
};

/** Objects as the stored JSON text, so that the hot path never re-encodes. */
export type RequestList = {
  readonly items: readonly string[];
  readonly revision: number;
  readonly continue: string | undefined;
  readonly remaining: number | undefined;
};

export type Preconditions = { readonly uid?: string; readonly resourceVersion?: string };

export type UpdateEndpoint = 'main' | 'approval' | 'status';

export type UpdateOptions = {
  readonly endpoint: UpdateEndpoint;
  readonly identity: Identity;
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
};

export type DeleteOptions = {
  readonly identity: Identity;
  readonly preconditions?: Preconditions;
  readonly dryRun?: boolean;
  readonly propagationPolicy?: string;
};

export type Submitted = {
  readonly request: CertificateRequest;
  /** JSON text of request. */
  readonly text: string;
  /** What the caller should know although the request was taken, one sentence each: for `Warning` headers. */
  readonly warnings: readonly string[];
  /** Settles when what can be done at once is done: the stored object then, and the certificate if there is one. Never rejects. */
  readonly settled: Promise<{
    request: CertificateRequest;
    text: string;
    issued: IssuedCertificate | undefined;
    decision: Decision | undefined;
  }>;
};

/** The life of requests. Rules of the object (validation, what each endpoint may change) live here, not in the api. */
export type Requests = {
  /** Validates, stores, decides. Resolves when the request is durable. Throws 'invalid', 'forbidden', 'already-exists'. */
  submit(identity: Identity, draft: RequestDraft, options?: { dryRun?: boolean }): Promise<Submitted>;
  /** JSON text. Throws 'not-found'. */
  get(name: string): Promise<string>;
  list(filter: RequestFilter): Promise<RequestList>;
  /**
   * Read, change, validate, write in one transaction. `change` gets a copy of the stored object and returns the wanted
   * one; what this endpoint may not touch is put back as upstream does. Preconditions are in the wanted object's
   * metadata (uid, resourceVersion). Returns the stored JSON text.
   */
  update(
    name: string,
    change: (current: CertificateRequest) => CertificateRequest,
    options: UpdateOptions,
  ): Promise<string>;
  /** Adds Approved or Denied as a person would with kubectl. */
  decide(
    name: string,
    verdict: 'Approved' | 'Denied',
    options: { identity: Identity; reason?: string; message?: string },
  ): Promise<string>;
  /**
   * Takes over a request that an API server had taken, as it was there, and decides about it by the rules. Answers the
   * stored JSON text. For administrators only. Throws 'forbidden', 'invalid', 'already-exists'.
   */
  import(imported: ImportedRequest, actor: Identity): Promise<string>;
  /** Returns the deleted object, or with finalizers the object that now waits (`gone` false). */
  delete(name: string, options: DeleteOptions): Promise<{ text: string; gone: boolean }>;
  /** What the rules say to a request, changes nothing. Throws 'not-found'. */
  explain(name: string): Promise<Explanation>;
  /**
   * What would become of a draft if `as` (or the caller) submitted it now, changes nothing. Throws 'not-found' and
   * 'invalid' for a token or member that cannot ask.
   */
  explainDraft(draft: RequestDraft, as: AskedAs | Identity): Promise<Explanation>;
  /** Asks the rules of another policy about requests of the past; changes nothing. Throws 'too-many-requests' while one runs. */
  replay(options: ReplayOptions): Promise<Replay>;
  /** Deletes, once an hour, what is kept of deleted requests for longer than configured. To be called again and again. */
  prunePast(): Promise<void>;
  /**
   * Looks again at held and approved-but-unissued requests: at start, and when facts change. `node` narrows it to one
   * node's, `due` to those whose retry time has come (to be called about every minute).
   */
  reconsider(scope?: { node?: string; nodes?: readonly string[]; due?: boolean }): Promise<void>;
  readonly cleaner: Cleaner;
};

/** Whether this process may still do what only one may, as the transaction sees it. */
export type Fence = (tx: WriteTx) => Promise<boolean>;

export type CleanStep = {
  readonly deleted: number;
  /** Another step is due. */
  readonly more: boolean;
};

/** Deletes requests that were kept long enough. For one process at a time. */
export type Cleaner = {
  /** One write of a few milliseconds. */
  readonly step: (fence: Fence) => Promise<CleanStep>;
  /** From the next step on, works out all dates once more: the clock has been set back. */
  dateAnew(): void;
};

/** What is known about who asks and for what, gathered before rules run; undefined means not known. */
export type RequestFacts = {
  readonly identity: Identity;
  readonly now: number;
  readonly node?: NodeFacts;
  readonly member?: MemberFacts;
  readonly token?: TokenFacts;
  /**
   * Members of the same cluster, gathered only when the request asks for names that are not its member's; for a client's
   * certificate only the one that has the wanted name.
   */
  readonly otherMembers?: readonly MemberFacts[];
  readonly etcdCluster?: { readonly name: string; readonly clientNames: readonly string[] };
  /** Why the identity that the certificate would give is refused everywhere, where it is. */
  readonly banned?: string;
  readonly nodePolicy: 'enrolled' | 'upstream';
  /** That the caller may create `nodeclient` by the RBAC of the API server that names it; asked where its roles do not say so. */
  readonly nodeclient?: boolean;
};

export type NodeFacts = {
  readonly name: string;
  readonly state: 'expected' | 'joined' | 'disabled';
  readonly addresses: readonly string[];
  readonly dnsNames: readonly string[];
};

export type MemberFacts = {
  readonly cluster: string;
  readonly name: string;
  readonly state: 'expected' | 'joined' | 'disabled';
  readonly addresses: readonly string[];
  readonly dnsNames: readonly string[];
};

/** Pure: the rules of one profile over one verified CSR and the facts. */
export type Evaluate = (profile: Profile, csr: ReadCsr, usages: readonly string[], facts: RequestFacts) => Decision;
