import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';

import type { BundleView } from '../api/rest/bundles.js';
import { readIfThere } from '../service/private-file.js';
import { localFailure } from './failure.js';

/** A bundle that a file on this machine holds. */
export type HeldBundle = { readonly ring: string; readonly generation: number; readonly pem: string };

// As other CA files have it, text before the first certificate is passed over by whoever reads it.
const title = /^# rotunda bundle: (\S+) (\d{1,10}) (sha256:[0-9a-f]{64})$/m;

/** The bundle in a file that `writeBundle` has written; generation 0 for another CA file, undefined where there is none. */
export function readBundleFile(file: string): HeldBundle | undefined {
  let text: string | undefined;
  try {
    text = readIfThere(file);
  } catch (error) {
    throw localFailure(`cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
  if (text === undefined) return undefined;
  const [, ring = '', generation = '0'] = title.exec(text) ?? [];
  return { ring, generation: Number(generation), pem: text };
}

/**
 * Writes the anchors of a bundle as PEM that everybody may read (0644), so that a reader sees the old content or the new.
 * Throws a local failure for a file that holds a later generation, or another ring's.
 */
export function writeBundle(file: string, bundle: BundleView): void {
  const held = readBundleFile(file);
  if (held !== undefined && held.ring !== '' && held.ring !== bundle.ring) {
    throw localFailure(`${file} holds the bundle of the ring ${held.ring}, and this is that of ${bundle.ring}`, {
      hints: ['give another file'],
    });
  }
  if (held !== undefined && held.generation > bundle.generation) {
    throw localFailure(
      `${file} holds bundle ${String(held.generation)} of the ring ${bundle.ring}, and the service has ${String(bundle.generation)}`,
      { hints: ['the service may be restored from an old backup: ask who runs it before you remove the file'] },
    );
  }
  const heading = `# rotunda bundle: ${bundle.ring} ${String(bundle.generation)} ${bundle.digest}\n`;
  writePublicFile(file, heading + pemOf(bundle));
}

export function pemOf({ anchors }: BundleView): string {
  return anchors.map(({ pem }) => pem).join('');
}

function writePublicFile(file: string, content: string): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    throughHandle(temporary, 'wx', (handle) => {
      writeSync(handle, content);
      fsyncSync(handle);
    });
    // Whatever the umask says.
    chmodSync(temporary, 0o644);
    renameSync(temporary, file);
    throughHandle(path.dirname(file), 'r', fsyncSync);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw localFailure(`cannot write ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function throughHandle(file: string, flags: 'r' | 'wx', work: (handle: number) => void): void {
  const handle = openSync(file, flags, 0o644);
  try {
    work(handle);
  } finally {
    closeSync(handle);
  }
}
