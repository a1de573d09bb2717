import { readFileSync } from 'node:fs';
import path from 'node:path';

import { parse } from 'yaml';
import { z } from 'zod';

import { RotundaError } from './errors.js';

/** What the current context of a kubeconfig says. All PEM. */
export type Kubeconfig = {
  readonly server: string;
  /** The name that the server's certificate is checked for, where it is not the server's host. */
  readonly serverName?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
};

const clusterSchema = z.object({
  server: z.string(),
  'tls-server-name': z.string().optional(),
  'certificate-authority-data': z.string().optional(),
  'certificate-authority': z.string().optional(),
});
const userSchema = z.object({
  'client-certificate-data': z.string().optional(),
  'client-certificate': z.string().optional(),
  'client-key-data': z.string().optional(),
  'client-key': z.string().optional(),
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  exec: z.object({ command: z.string() }).optional(),
});
const fileSchema = z.object({
  'current-context': z.string(),
  contexts: z.array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) })),
  clusters: z.array(z.object({ name: z.string(), cluster: clusterSchema })),
  users: z.array(z.object({ name: z.string(), user: userSchema })),
});

/** Reads a kubeconfig's current context. Throws RotundaError 'bad-request' that names the file and what is wrong with it. */
export function readKubeconfig(file: string): Kubeconfig {
  const parsed = fileSchema.safeParse(parseYaml(file, readText(file)));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw unreadable(`${file} is not a kubeconfig: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  const config = parsed.data;
  const context = config.contexts.find(({ name }) => name === config['current-context'])?.context;
  const cluster = config.clusters.find(({ name }) => name === context?.cluster)?.cluster;
  const user = config.users.find(({ name }) => name === context?.user)?.user;
  if (cluster === undefined || user === undefined) {
    throw unreadable(
      `${file}: the current context ${JSON.stringify(config['current-context'])} has no cluster or no user`,
    );
  }
  return combine(file, cluster, user);
}

function combine(file: string, cluster: z.output<typeof clusterSchema>, user: z.output<typeof userSchema>): Kubeconfig {
  if (user.exec !== undefined) {
    throw unreadable(
      `${file}: the user's credential comes from the program ${user.exec.command}, which is not run here`,
      'use a kubeconfig with a client certificate or a token',
    );
  }
  const base = path.dirname(file);
  const serverName = cluster['tls-server-name'];
  const ca = material(base, cluster['certificate-authority-data'], cluster['certificate-authority']);
  const cert = material(base, user['client-certificate-data'], user['client-certificate']);
  const key = material(base, user['client-key-data'], user['client-key']);
  const token =
    user.token ?? (user.tokenFile === undefined ? undefined : readText(path.resolve(base, user.tokenFile)).trim());
  return {
    server: cluster.server,
    ...(serverName === undefined ? {} : { serverName }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(token === undefined ? {} : { token }),
  };
}

/** Inline data wins over a file, as in client-go; files are relative to the kubeconfig. */
function material(base: string, data: string | undefined, file: string | undefined): string | undefined {
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
  return file === undefined ? undefined : readText(path.resolve(base, file));
}

function parseYaml(file: string, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw unreadable(`${file} is not YAML: ${(error as Error).message.split('\n')[0] ?? ''}`);
  }
}

/** A file's text. Throws RotundaError 'bad-request' that says why it cannot be read. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw unreadable(`there is no file ${file}`);
    if (code === 'EACCES') throw unreadable(`${file} may not be read by this user`);
    throw unreadable(`cannot read ${file}: ${(error as Error).message}`);
  }
}

function unreadable(message: string, hint?: string): RotundaError {
  return new RotundaError('bad-request', message, hint === undefined ? {} : { hint });
}
