import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';

/** Writes a file that only its owner can read, so that a reader sees the old content or the new, also after a crash. */
export function writePrivateFile(file: string, content: string): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    throughHandle(temporary, 'wx', (handle) => {
      writeSync(handle, content);
      fsyncSync(handle);
    });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  throughHandle(path.dirname(file), 'r', fsyncSync);
}

function throughHandle(file: string, flags: 'r' | 'wx', work: (handle: number) => void): void {
  const handle = openSync(file, flags, 0o600);
  try {
    work(handle);
  } finally {
    closeSync(handle);
  }
}

/** The file's text, or undefined when there is none. Throws for anything else that hinders reading. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
