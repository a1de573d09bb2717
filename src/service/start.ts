import { mkdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createHash } from 'node:crypto';

import { createContext, type Context, type ContextOverrides } from '../context.js';
import type { Config } from '../config/types.js';
import { clientCasOf, createRotundaServer, type RotundaServer } from '../server.js';
import { adminKubeconfig, type AdminKubeconfig } from './admin-kubeconfig.js';
import { startCleaning } from './cleaning.js';
import { startHealthListener } from './health-listener.js';
import { startMaintenance } from './maintenance.js';
import { type CandidateListener, createCandidateListener } from './candidate-listener.js';
import { servingNames } from './local-names.js';
import { createReplica } from './replica.js';
import { servedIn } from './served-authorities.js';
import { startRotating } from './rotating.js';
import { rotationChores } from './rotation-chores.js';
import { loadServingCertificate, type ServingCertificate } from './serving-certificate.js';
import { createStoreProbe } from './store-probe.js';

/** How long open requests may take after SIGTERM. */
const drainTimeoutMs = 8_000;

export type Service = {
  readonly context: Context;
  /** Where clients reach it: `https://host:port`. */
  readonly url: string;
  /** `sha256:<hex>` over the SPKI of the ring that serves, one for each anchor of its bundle. */
  readonly pins: readonly string[];
  readonly adminKubeconfig: string;
  /** Where probes are answered over plain HTTP, if anywhere. */
  readonly healthUrl: string | undefined;
  /** Does what is due now: own certificates, held requests, what a dead replica left undone, cleaning up. */
  maintain(): Promise<void>;
  /** Takes rotations as far as they go now. */
  rotate(): Promise<void>;
  /** Drains and stops; resolves when everything is released. */
  stop(): Promise<void>;
};

export type StartOptions = { readonly renewAdmin?: boolean; readonly overrides?: ContextOverrides };

/** Starts everything: store, rings, keys, listener, the administrator's kubeconfig. What exists already is kept. */
export async function startService(config: Config, options: StartOptions = {}): Promise<Service> {
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const context = await createContext(config, options.overrides);
  try {
    return await listen(context, options);
  } catch (error) {
    await context.close();
    throw error;
  }
}

async function listen(context: Context, options: StartOptions): Promise<Service> {
  const { config, ca } = context;
  await ca.recover();
  const serving = await loadServingCertificate(context);
  const candidates = candidatesOf(context);
  const server = await createRotundaServer(context, serving.current(), candidates);
  await candidates.refresh();
  const bound = await bind(server, config);
  const url = config.advertiseUrl ?? bound;
  const admin = adminKubeconfig(context, { forceRenewal: options.renewAdmin === true });
  const probes = await healthOf(context).catch(async (error: unknown) => {
    await close(server);
    throw error;
  });
  try {
    await admin.renewIfDue(url);
    await context.requests.reconsider();
  } catch (error) {
    await probes.stop();
    await close(server);
    throw error;
  }
  const maintenance = startMaintenance(duties(context, { serving, server, admin, url, candidates }), context.logger);
  const cleaning = startCleaning(context);
  const rotating = startRotating(context, createReplica(context), await rotationChores(context, maintenance));
  const unfollow = ca.onChange(() => {
    // Clients are asked for certificates of other anchors from the next connection on, whatever certificate is presented.
    server.present(serving.current());
    void candidates.refresh();
    void maintenance.run();
  });
  // The serving certificate needs another name at once, and a token is to be known to the API server.
  context.attachment.onChange(() => void maintenance.run());
  const anchors = ca.bundle(config.topology.kubernetesServer).anchors;
  return {
    context,
    url,
    pins: anchors.map((anchor) => `sha256:${createHash('sha256').update(anchor.key.spki).digest('hex')}`),
    adminKubeconfig: admin.file,
    healthUrl: probes.url,
    rotate: () => rotating.run(),
    maintain: async () => {
      await Promise.all([maintenance.run(), cleaning.run()]);
    },
    stop: once(async () => {
      probes.drain();
      unfollow();
      await Promise.all([maintenance.stop(), cleaning.stop(), rotating.stop()]);
      try {
        await close(server);
      } finally {
        await probes.stop();
        await context.close();
      }
    }),
  };
}

/** Authorities that are to be shown before they sign, and after. */
function candidatesOf(context: Context): CandidateListener {
  const { rotations, ca, clock, logger, config, attachment } = context;
  return createCandidateListener({
    served: async () => (await rotations.running()).flatMap(servedIn),
    canary: (order) => ca.canary(order),
    names: () => servingNames([...config.serving.names, ...attachment.servingNames()]),
    clientCas: () => clientCasOf(context),
    ...{ clock, logger },
  });
}

type Probes = { readonly url: string | undefined; drain(): void; stop(): Promise<void> };

/** The listener for probes, where there shall be one. */
async function healthOf(context: Context): Promise<Probes> {
  const { healthListen } = context.config;
  if (healthListen === undefined) return { url: undefined, drain: () => undefined, stop: () => Promise.resolve() };
  const probe = createStoreProbe(context);
  let draining = false;
  const ready = async (): Promise<boolean> => !draining && (await probe.problem()) === undefined;
  const listener = await startHealthListener({ ...healthListen, ready });
  return {
    url: listener.url,
    drain: () => {
      draining = true;
    },
    stop: () => listener.stop(),
  };
}

type Own = {
  readonly serving: ServingCertificate;
  readonly server: RotundaServer;
  readonly admin: AdminKubeconfig;
  readonly url: string;
  readonly candidates: CandidateListener;
};

function duties(
  { ca, requests, logger, attachment, tokens, renewals }: Context,
  { serving, server, admin, url, candidates }: Own,
): (() => Promise<void>)[] {
  return [
    async () => {
      if (await serving.renewIfDue()) server.present(serving.current());
    },
    async () => {
      if (await admin.renewIfDue(url)) logger.info({ file: admin.file }, 'rewrote the administrator kubeconfig');
    },
    async () => {
      await ca.recover();
    },
    () => requests.reconsider({ due: true }),
    () => requests.prunePast(),
    () => attachment.keep(tokens),
    () => renewals.keep(),
    () => candidates.refresh(),
  ];
}

/**
 * Connections that may wait to be accepted; the kernel takes less where `net.core.somaxconn` says so. With the usual 511 a
 * fleet that starts at once overflows it, and a client whose connection was dropped there finds out only half a minute
 * later.
 */
const backlog = 65_535;

/** Fastify does not know that its listener, made elsewhere, speaks TLS. */
const listenTextResolver = (address: string): string => `listening on ${address.replace(/^http:/, 'https:')}`;

async function bind(server: RotundaServer, config: Config): Promise<string> {
  const { host, port } = config.listen;
  const common = { port, listenTextResolver, backlog };
  try {
    await server.app.listen({ host, ...common });
  } catch (error) {
    // A machine without IPv6 cannot listen on `::`; every IPv4 address is what was meant there.
    if (host !== '::' || (error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') throw error;
    await server.app.listen({ host: '0.0.0.0', ...common });
  }
  const address = server.app.server.address() as AddressInfo;
  const name = host === '::' || host === '0.0.0.0' ? 'localhost' : host;
  return `https://${name.includes(':') ? `[${name}]` : name}:${String(address.port)}`;
}

async function close(server: RotundaServer): Promise<void> {
  server.drain();
  const forced = setTimeout(() => {
    server.app.server.closeAllConnections();
  }, drainTimeoutMs);
  try {
    await server.app.close();
  } finally {
    clearTimeout(forced);
  }
}

function once(action: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= action());
}
