import { readFileSync, statSync } from 'node:fs';

import type { Logger } from 'pino';

import type { Clock } from '../clock.js';
import { RotundaError } from '../errors.js';
import { type FrontProxySource, type FrontProxyTrust, readCaBundle } from './front-proxy-source.js';

/** How often the file is looked at, at most: on the way of a request, so that no timer has to be stopped. */
const lookEveryMs = 1000;
const field = 'frontProxy.clientCAFile';

/**
 * The CAs of a PEM file, read again when the file changes. What cannot be read then is logged, and the last good content
 * counts on, as in kube-apiserver. Throws RotundaError 'invalid' when it cannot be read at the start.
 */
export function fileSource(
  file: string,
  options: Pick<FrontProxyTrust, 'allowedNames' | 'headerNames'> & { readonly clock: Clock; readonly logger: Logger },
): FrontProxySource {
  const { clock, logger, ...trust } = options;
  let seen = stampOf(file);
  let known = read(file, trust);
  let lookedAt = clock.now().getTime();
  return {
    current: () => {
      const now = clock.now().getTime();
      if (now - lookedAt < lookEveryMs && now >= lookedAt) return known;
      lookedAt = now;
      const stamp = stampOf(file);
      if (stamp === seen) return known;
      seen = stamp;
      try {
        known = read(file, trust);
        logger.info({ file, certificates: known.cas.length }, 'read the CAs of front proxies again');
      } catch (error) {
        if (!(error instanceof RotundaError)) throw error;
        logger.error({ file, reason: error.message }, 'the CAs of front proxies stay as they were');
      }
      return known;
    },
  };
}

function read(file: string, trust: Pick<FrontProxyTrust, 'allowedNames' | 'headerNames'>): FrontProxyTrust {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch (error) {
    const message = `${file} cannot be read: ${(error as Error).message}`;
    throw new RotundaError('invalid', `${field}: ${message}`, {
      causes: [{ field, reason: 'FieldValueInvalid', message }],
    });
  }
  return { origin: `file ${file}`, cas: readCaBundle(text, field), ...trust };
}

/** Changes whenever the file does, also when it is replaced by another of the same size and time. */
function stampOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
  return stat === undefined
    ? 'missing'
    : `${String(stat.ino)}:${String(stat.size)}:${String(stat.mtimeNs)}:${String(stat.ctimeNs)}`;
}
