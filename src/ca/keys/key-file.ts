import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

import type { Random } from '../../clock.js';
import { RotundaError } from '../../errors.js';

/** More than any 32-byte key as text needs; a longer file is something else. */
const longestFile = 1024;

function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/**
 * Reads a key file as text. Throws RotundaError 'invalid' when it is missing, no regular file, readable by the group or
 * by others, or too long. Mode and content come from one open file, so that neither can be changed in between.
 */
export function readKeyFile(file: string): string {
  const handle = openKeyFile(file);
  try {
    const status = fstatSync(handle);
    if (!status.isFile()) throw new RotundaError('invalid', `key-encryption key: ${file} is not a regular file`);
    if ((status.mode & 0o077) !== 0) {
      const mode = (status.mode & 0o777).toString(8).padStart(4, '0');
      throw new RotundaError(
        'invalid',
        `key-encryption key: ${file} has mode ${mode}; the group and others must have no access`,
        {
          hint: `chmod 600 ${file}`,
        },
      );
    }
    const buffer = Buffer.alloc(longestFile + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(handle, buffer, length, buffer.length - length, null);
    }
    if (length > longestFile)
      throw new RotundaError('invalid', `key-encryption key: ${file} is longer than ${longestFile} bytes`);
    return buffer.toString('latin1', 0, length);
  } finally {
    closeSync(handle);
  }
}

function openKeyFile(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    const code = systemCode(error);
    throw new RotundaError('invalid', `key-encryption key: ${file} cannot be opened (${code})`, { cause: error });
  }
}

/** Makes a directory entry durable. */
function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/**
 * Writes `text` to a file of mode 0600 that did not exist, and returns whether it did; false leaves an existing file as
 * it is. The content is durable before the name appears: neither a crash nor a second process sees half a key.
 */
export function createKeyFile(file: string, text: string, random: Random): boolean {
  const directory = dirname(file);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const temporary = `${file}.${random.bytes(8).toString('hex')}.tmp`;
  const handle = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  try {
    linkSync(temporary, file);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    unlinkSync(temporary);
    syncDirectory(directory);
  }
}
