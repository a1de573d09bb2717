import type { Topology } from '../../../config/types.js';

/** Which bundle or certificate a file holds: a purpose of the topology, or the public keys of service account tokens. */
export type RowPurpose = keyof Topology | 'serviceAccountKeys';

/**
 * `hot`: by itself within seconds, or at the next connection. `delayed`: by itself within `worstDelayMs`. `restart`: when
 * its process starts. `never`: not even then; something else has to be done.
 */
export type ReloadEffect = 'hot' | 'delayed' | 'restart' | 'never';

/** What one kind of process does when one of its files changes. */
export type ReloadRow = {
  /** Class of consumers. */
  readonly class: string;
  /** Whose version `versions` is about, as consumers state it: `kubelet 1.36.3`. */
  readonly software: string;
  /** Of the versions below: `>=1.36`, `<1.36`, or undefined for all. */
  readonly versions: string | undefined;
  readonly purpose: 'trust' | 'leaf' | 'signer' | 'revocation';
  readonly topology: readonly RowPurpose[];
  /** Flag or file. Rows of one class with the same one are alternatives. */
  readonly file: string;
  /** Which change of a bundle it is about. */
  readonly change: 'any' | 'added' | 'removed';
  /** How it has to be set up for this row to hold; undefined: always. */
  readonly when: string | undefined;
  readonly effect: ReloadEffect;
  /** Milliseconds; undefined for the next connection, and where nothing happens by itself. */
  readonly worstDelayMs: number | undefined;
  readonly what: string;
  /** How it is seen that it was taken over. */
  readonly see: string;
  readonly byHand: ByHand;
  /** On kube-apiserver 1.36.3, its siblings and etcd 3.7.3; read in their source; said by their documentation; concluded. */
  readonly known: 'measured' | 'source' | 'documentation' | 'inferred';
};

/** What an operator does. `RING` in a command is the ring's name; other words in capitals are the operator's to fill in. */
export type ByHand = { readonly text: string; readonly commands: readonly string[] };

type Draft = Pick<ReloadRow, 'purpose' | 'topology' | 'file' | 'effect' | 'what' | 'see' | 'byHand'> &
  Partial<ReloadRow>;

/** Rows of one class; what they leave out holds for every version and setup, and was measured. */
export function rowsOf(
  of: { readonly class: string; readonly software: string },
  drafts: readonly Draft[],
): readonly ReloadRow[] {
  return drafts.map((draft) => ({
    versions: undefined,
    change: 'any',
    when: undefined,
    worstDelayMs: undefined,
    known: 'measured',
    ...of,
    ...draft,
  }));
}

export const second = 1000;
export const minute = 60 * second;

/** The bundle, put in the place of a file in one step: a reader never sees half of it. */
export function replaceBundle(file: string): string {
  return `npx rotunda bundle get RING -o pem > ${file}.new && mv ${file}.new ${file}`;
}

/** Static pods: the kubelet starts the container again. It is killed when it does not end in time. */
export function restartPod(name: string): string {
  return `crictl stop --timeout 30 $(crictl ps -q --name '^${name}$')`;
}
