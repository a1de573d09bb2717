import { setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from 'pino';

import { RotundaError } from '../errors.js';
import {
  type FrontProxySource,
  type FrontProxyTrust,
  readCaBundle,
  standardHeaderNames,
} from '../identity/front-proxy-source.js';
import type { ClusterClient } from './client.js';
import {
  authenticationConfigMap,
  authenticationNamespace,
  authenticationPath,
  type ConfigMap,
  readFrontProxy,
} from './front-proxy.js';

const origin = `${authenticationNamespace}/${authenticationConfigMap}`;
const collection = `/api/v1/namespaces/${authenticationNamespace}/configmaps`;
const retryMs = 5000;
/** Seconds after which the API server ends the watch; what it says is then read anew. */
const watchSeconds = 600;

export type FrontProxyWatch = {
  readonly source: FrontProxySource;
  /** Follows the ConfigMap at this API server from now on; undefined: no API server, and nobody is believed. */
  follow(client: ClusterClient | undefined): void;
  /** Why nobody is believed; undefined while somebody is. */
  problem(): string | undefined;
  stop(): Promise<void>;
};

/**
 * Whose request headers are believed, as the API server itself publishes it, within a moment of each change. While the
 * API server cannot be reached, what it said last counts.
 */
export function watchFrontProxy(logger: Logger): FrontProxyWatch {
  let trust: FrontProxyTrust | undefined;
  let problem: string | undefined = 'no API server has been asked';
  let followed: ClusterClient | undefined;
  let running: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;
  const take = (map: ConfigMap | undefined): void => {
    const next = trustOf(map);
    if ('problem' in next) {
      if (problem !== next.problem) logger.warn({ problem: next.problem }, 'no front proxy is believed');
      [trust, problem] = [undefined, next.problem];
    } else [trust, problem] = [next, undefined];
  };
  const stop = async (): Promise<void> => {
    const ended = running;
    running = undefined;
    ended?.abort.abort();
    await ended?.done;
  };
  return {
    source: { current: () => trust },
    problem: () => problem,
    follow: (client) => {
      if (client === followed) return;
      followed = client;
      void stop();
      if (client === undefined) {
        [trust, problem] = [undefined, 'there is no credential for an API server'];
        return;
      }
      const abort = new AbortController();
      const failed = (text: string): void => {
        if (trust === undefined) problem = text;
      };
      running = { abort, done: followUntil(client, { take, failed, logger }, abort.signal) };
    },
    stop,
  };
}

type Told = {
  readonly take: (map: ConfigMap | undefined) => void;
  readonly failed: (why: string) => void;
  readonly logger: Logger;
};

async function followUntil(client: ClusterClient, { take, failed, logger }: Told, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const map = await client.get<ConfigMap>(authenticationPath);
      take(map);
      const query = {
        fieldSelector: `metadata.name=${authenticationConfigMap}`,
        resourceVersion: map?.metadata.resourceVersion ?? '0',
        timeoutSeconds: watchSeconds,
      };
      for await (const { type, object } of client.watch<ConfigMap>(collection, query, signal)) {
        if (type === 'ADDED' || type === 'MODIFIED') take(object);
        // Deleted, or too old: the next look says what there is.
        else break;
      }
    } catch (error) {
      if (isAborted(signal)) return;
      failed(error instanceof Error ? error.message : String(error));
      logger.warn({ err: error }, `cannot follow ${origin}; it is tried again`);
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Asked anew: it may have changed while something was awaited. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function trustOf(map: ConfigMap | undefined): FrontProxyTrust | { readonly problem: string } {
  const published = readFrontProxy(map);
  const { clientCa, allowedNames } = published;
  if (clientCa === undefined) return { problem: `${origin} has no requestheader-client-ca-file` };
  if (allowedNames.length === 0) {
    return { problem: `${origin} has an empty list of requestheader-allowed-names, which would believe everybody` };
  }
  try {
    const headerNames = {
      username: orElse(published.usernameHeaders, standardHeaderNames.username),
      uid: orElse(published.uidHeaders, standardHeaderNames.uid),
      group: orElse(published.groupHeaders, standardHeaderNames.group),
      extraPrefix: orElse(published.extraHeaderPrefixes, standardHeaderNames.extraPrefix),
    };
    return { origin, cas: readCaBundle(clientCa, 'requestheader-client-ca-file'), allowedNames, headerNames };
  } catch (error) {
    if (!(error instanceof RotundaError)) throw error;
    return { problem: `${origin}: ${error.message}` };
  }
}

function orElse(list: readonly string[], standard: readonly string[]): readonly string[] {
  return list.length > 0 ? list : standard;
}
