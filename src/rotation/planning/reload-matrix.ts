import { controllerRows } from './reload/controllers.js';
import { etcdRows } from './reload/etcd.js';
import { apiserverRows } from './reload/kube-apiserver.js';
import { kubeletRows } from './reload/kubelet.js';
import { otherRows } from './reload/others.js';
import type { ReloadEffect, ReloadRow } from './reload/row.js';
import { fits, readSoftware } from './software.js';

/** Who takes over which file when, by class of consumers and version. */
export const reloadMatrix: readonly ReloadRow[] = [
  ...apiserverRows,
  ...controllerRows,
  ...kubeletRows,
  ...etcdRows,
  ...otherRows,
];

export type Lookup = {
  /** Alternatives that depend on how it is set up are all there: `slowest` picks. */
  readonly rows: readonly ReloadRow[];
  /** What had to be assumed; undefined where the version is known. */
  readonly assumed: string | undefined;
};

/**
 * The rows that apply to a consumer: `software` is what it says of itself, such as `kubelet 1.36.3`. Of software or a
 * version that is not known, the slowest row of each file and setup; of an unknown class, that it wants a restart.
 */
export function lookup(className: string, software: string): Lookup {
  const ofClass = reloadMatrix.filter((row) => row.class === className);
  if (ofClass.length === 0)
    return { rows: [unknownClass(className)], assumed: `nothing is known about ${className}: a restart is assumed` };
  const stated = readSoftware(software);
  const version =
    stated !== undefined && ofClass.some((row) => row.software === stated.name) ? stated.version : undefined;
  if (version !== undefined) return { rows: ofClass.filter((row) => fits(version, row.versions)), assumed: undefined };
  if (ofClass.every((row) => row.versions === undefined)) return { rows: ofClass, assumed: undefined };
  const known = software === '' ? 'its version is not known' : `${software} is not known`;
  return { rows: slowest(ofClass, true), assumed: `${known}: the slowest that is known of ${className} is assumed` };
}

/** Of the alternatives for one file, the one that takes longest; `bySetup`: one for each way to set it up. */
export function slowest(rows: readonly ReloadRow[], bySetup = false): readonly ReloadRow[] {
  const byFile = new Map<string, ReloadRow>();
  for (const row of rows) {
    const key = [row.class, row.purpose, row.file, row.change, row.topology.join(), bySetup ? row.when : ''].join('|');
    const other = byFile.get(key);
    if (other === undefined || slowness(row) > slowness(other)) byFile.set(key, row);
  }
  return [...byFile.values()];
}

const ranks: Readonly<Record<ReloadEffect, number>> = { hot: 0, delayed: 1, restart: 2, never: 3 };
const longestDelay = 1e12;

function slowness({ effect, worstDelayMs }: ReloadRow): number {
  return ranks[effect] * longestDelay + Math.min(worstDelayMs ?? 0, longestDelay - 1);
}

function unknownClass(className: string): ReloadRow {
  return {
    class: className,
    software: '',
    versions: undefined,
    purpose: 'trust',
    topology: [
      'kubernetesClient',
      'kubernetesServer',
      'etcdPeer',
      'etcdServer',
      'etcdClient',
      'frontProxy',
      'rotunda',
      'serviceAccountKeys',
    ],
    file: 'CA file',
    change: 'any',
    when: undefined,
    effect: 'restart',
    worstDelayMs: undefined,
    what: 'nothing is known about it',
    see: 'the process is younger than the bundle',
    byHand: { text: 'Give it the bundle, then restart it.', commands: ['npx rotunda bundle get RING -o pem'] },
    known: 'inferred',
  };
}
