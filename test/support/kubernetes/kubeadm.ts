import { existsSync, readFileSync } from 'node:fs';

import { stringify } from 'yaml';

import { kubernetesProgram } from './binaries.js';
import { type Ended, type Machine, writeInside } from './machine.js';
import { CRI_ENDPOINT } from './node.js';

const BIN = '/var/lib/machine/bin';

/**
 * kubeadm has the init system start the kubelet. A machine of the tests has none, so this stands in for `systemctl`: it
 * starts the real kubelet with the command line of kubeadm's own systemd drop-in, and takes every other verb as done.
 */
const systemctl = (kubelet: string): string => `#!/bin/sh
pid=/var/lib/machine/kubelet.pid
halt() {
  [ -s "$pid" ] && kill "$(cat "$pid")" 2>/dev/null
  rm -f "$pid"
}
case "$1" in
  stop) halt ;;
  start | restart)
    halt
    KUBELET_KUBEADM_ARGS=
    [ -f /var/lib/kubelet/kubeadm-flags.env ] && . /var/lib/kubelet/kubeadm-flags.env
    setsid ${kubelet} --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \\
      --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml \\
      $KUBELET_KUBEADM_ARGS </dev/null >>/var/log/kubelet.log 2>&1 &
    echo $! >"$pid"
    ;;
esac
exit 0
`;

/**
 * What kubeadm checks before it starts and a machine of the tests cannot have: the host's kernel configuration, its
 * swap, its packet filter's tools, and the port that the join does not use here.
 */
const IGNORED_CHECKS = 'all';

export type Join = {
  /** HOST:PORT */
  readonly endpoint: string;
  readonly token: string;
  /** `sha256:…`; without one, discovery goes on without checking the CA. */
  readonly pins: readonly string[];
  /** Go durations. */
  readonly discoveryTimeout?: string;
  readonly bootstrapTimeout?: string;
};

/** How it ended, and what the kubelet wrote that it started. */
export type Joined = Ended & { readonly kubelet: string };

/** Runs an unmodified `kubeadm join` to its end on the machine, whose containerd runs already. */
export async function kubeadmJoin(machine: Machine, join: Join): Promise<Joined> {
  writeInside(machine, `${BIN}/systemctl`, systemctl(kubernetesProgram('kubelet')), 0o755);
  writeInside(machine, `${BIN}/kubelet`, `#!/bin/sh\nexec ${kubernetesProgram('kubelet')} "$@"\n`, 0o755);
  writeInside(machine, '/var/lib/machine/join.yaml', stringify(joinConfiguration(join)));
  const ended = await kubeadm(machine, [
    'join',
    '--config=/var/lib/machine/join.yaml',
    `--ignore-preflight-errors=${IGNORED_CHECKS}`,
  ]);
  return { ...ended, kubelet: kubeletLog(machine) };
}

/** What the kubelet that kubeadm started has written. */
function kubeletLog(machine: Machine): string {
  const file = machine.file('/var/log/kubelet.log');
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** Runs kubeadm on the machine. */
export function kubeadm(machine: Machine, args: readonly string[]): Promise<Ended> {
  const env = { PATH: `${BIN}:${process.env['PATH'] ?? ''}` };
  return machine.run(kubernetesProgram('kubeadm'), args, { env, timeoutMs: 240_000 });
}

function joinConfiguration(join: Join): object {
  return {
    apiVersion: 'kubeadm.k8s.io/v1beta4',
    kind: 'JoinConfiguration',
    discovery: {
      bootstrapToken: {
        apiServerEndpoint: join.endpoint,
        token: join.token,
        ...(join.pins.length > 0 ? { caCertHashes: join.pins } : { unsafeSkipCAVerification: true }),
      },
    },
    nodeRegistration: { criSocket: CRI_ENDPOINT },
    timeouts: {
      discovery: join.discoveryTimeout ?? '1m0s',
      tlsBootstrap: join.bootstrapTimeout ?? '2m0s',
      kubeletHealthCheck: '1m0s',
    },
  };
}
