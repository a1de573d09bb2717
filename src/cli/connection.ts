import { existsSync } from 'node:fs';
import path from 'node:path';

import { localFailure } from './failure.js';
import { readKubeconfig, readText } from '../kubeconfig.js';

/** The flags that every command has, after environment variables were applied. */
export type ConnectionOptions = {
  readonly kubeconfig?: string;
  readonly dataDir?: string;
  readonly server?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly pin?: string;
  readonly pinRing?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly timeout?: string;
};

/** Where the server is, how it is recognised, and as whom. */
export type Connection = {
  /** `https://host:port`, no trailing slash. */
  readonly server: string;
  readonly trust: { readonly ca: string } | { readonly pin: string; readonly ring: string };
  readonly credential: { readonly cert: string; readonly key: string } | { readonly token: string } | undefined;
};

export const defaultDataDir = './rotunda-data';

/**
 * Flags over environment over kubeconfig. A credential given on its own replaces the kubeconfig's, and the file is not
 * needed where server, trust and credential are all given. Throws local failures.
 */
export function resolveConnection(options: ConnectionOptions, need: 'credential' | 'none'): Connection {
  const credential = givenCredential(options);
  const trust = givenTrust(options);
  const complete = options.server !== undefined && trust !== undefined && (credential !== undefined || need === 'none');
  const file = complete ? undefined : kubeconfigFile(options);
  const config = file === undefined ? undefined : readKubeconfig(file);
  const server = options.server ?? config?.server;
  const found = trust ?? (config?.ca === undefined ? undefined : { ca: config.ca });
  if (server === undefined || found === undefined) {
    throw localFailure('the kubeconfig names no certificate authority for the server', {
      hints: ['give --ca FILE or --pin sha256:HEX'],
    });
  }
  return { server: checkServer(server), trust: found, credential: credential ?? storedCredential(config) };
}

function givenCredential({ token, cert, key }: ConnectionOptions): Connection['credential'] {
  if (token !== undefined && cert !== undefined) {
    throw localFailure('--token and --cert are two credentials', { hints: ['give one of them'] });
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw localFailure('--cert and --key belong together', { hints: ['give both files'] });
  }
  if (token !== undefined) return { token: checkToken(token) };
  return cert === undefined || key === undefined ? undefined : { cert: readText(cert), key: readText(key) };
}

function givenTrust({ ca, pin, pinRing }: ConnectionOptions): Connection['trust'] | undefined {
  if (ca !== undefined) return { ca: readText(ca) };
  if (pin === undefined) return undefined;
  if (/^sha256:[0-9a-f]{64}$/.test(pin)) return { pin, ring: pinRing ?? 'kubernetes' };
  throw localFailure(`${JSON.stringify(pin)} is not a pin`, {
    hints: ['a pin is sha256: and 64 lower-case hex digits, as the service prints it when it starts'],
  });
}

function storedCredential(config: ReturnType<typeof readKubeconfig> | undefined): Connection['credential'] {
  if (config?.cert !== undefined && config.key !== undefined) return { cert: config.cert, key: config.key };
  return config?.token === undefined ? undefined : { token: config.token };
}

function kubeconfigFile({ kubeconfig, dataDir }: ConnectionOptions): string {
  if (kubeconfig !== undefined) return kubeconfig;
  const file = path.join(dataDir ?? defaultDataDir, 'admin.kubeconfig');
  if (existsSync(file)) return file;
  throw localFailure(`there is no ${file}`, {
    hints: [
      'give --kubeconfig FILE or ROTUNDA_KUBECONFIG, or --data-dir DIR of a service on this machine',
      'without a kubeconfig, give --server URL with --ca FILE or --pin sha256:HEX, and --token TOKEN or --cert and --key',
    ],
  });
}

function checkServer(server: string): string {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url?.protocol === 'https:') return url.origin + url.pathname.replace(/\/+$/, '');
  throw localFailure(`${JSON.stringify(server)} is not an https URL`, {
    hints: ['such as https://pki.example.org:8443'],
  });
}

/** The secret is not repeated. */
function checkToken(token: string): string {
  if (/^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(token)) return token;
  throw localFailure('the token is not a bootstrap token', {
    hints: ['a token is 6 and 16 characters a-z and 0-9 with a dot between, as rotunda token create prints it'],
  });
}
