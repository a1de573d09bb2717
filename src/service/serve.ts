import { type ConfigFlags, loadConfig } from '../config/load.js';
import { type Service, startService } from './start.js';

export type ServeOptions = ConfigFlags & { readonly renewAdmin?: boolean };

/**
 * Serves until SIGTERM or SIGINT, then drains. Resolves when stopped. A second signal ends at once. Throws RotundaError
 * when the configuration or the data directory does not allow a start.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const config = loadConfig(options);
  const stopping = nextSignal();
  const service = await startService(config, { renewAdmin: options.renewAdmin === true });
  process.stdout.write(welcome(service));
  const signal = await stopping;
  service.context.logger.info({ signal }, 'draining');
  endAtNextSignal();
  await service.stop();
}

/** Ctrl-C reaches a child of npm twice, from the terminal and from npm: what comes that soon is the same signal. */
const sameSignalMs = 500;

function endAtNextSignal(): void {
  const since = performance.now();
  const end = (): void => {
    if (performance.now() - since > sameSignalMs) process.exit(130);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const finish = (signal: NodeJS.Signals): void => {
      process.off('SIGTERM', finish);
      process.off('SIGINT', finish);
      resolve(signal);
    };
    process.on('SIGTERM', finish);
    process.on('SIGINT', finish);
  });
}

function welcome(service: Service): string {
  const { kek, config } = service.context;
  const key =
    config.keyEncryptionKey.kind === 'generated'
      ? `  CA keys    encrypted under ${config.keyEncryptionKey.file} (made by this service; back it up apart from the database)`
      : `  CA keys    encrypted under the configured key ${kek.fingerprint}`;
  return [
    '',
    `Rotunda is listening on ${service.url}`,
    ...service.pins.map((pin) => `  CA pin     ${pin}`),
    `  admin      ${service.adminKubeconfig}`,
    key,
    '',
    'Next:',
    `  kubectl --kubeconfig ${service.adminKubeconfig} get csr`,
    `  npx rotunda token create --node NAME --address IP --kubeconfig ${service.adminKubeconfig}`,
    '',
    '',
  ].join('\n');
}
