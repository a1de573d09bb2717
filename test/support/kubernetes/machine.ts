import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';

import { childOf, type Program, type ProgramOptions, startProgram, until } from './program.js';

/**
 * A machine for a kubelet: the test's own kernel and network, with a host name, processes and mounts of its own. What
 * is written under the directories below stays in its memory, and everything ends with it: processes, mounts, files.
 */
export type Machine = {
  readonly name: string;
  readonly dir: string;
  /** The address of this host that its kubelet announces. */
  readonly address: string;
  /** The path by which the test's own process reads and writes a file of the machine. */
  file(inside: string): string;
  start(options: Omit<ProgramOptions, 'dir'>): Program;
  /** Runs a command to its end. Rejects when it could not be started, or took too long. */
  run(
    command: string,
    args: readonly string[],
    options?: { readonly env?: Readonly<Record<string, string>>; readonly timeoutMs?: number },
  ): Promise<Ended>;
  stop(): Promise<void>;
};

/** `code` is null when a signal ended it. */
export type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** Where kubelet, kubeadm and containerd write without being asked. */
const OWN_DIRECTORIES = ['/etc', '/var/lib', '/var/log', '/usr/libexec'];

/**
 * What a kubelet sets in the kernel when it finds it otherwise (container_manager_linux.go `setupKernelTunables`, 1.36).
 * The kernel is everybody's, so a machine only shows these values, and the kubelet leaves them alone.
 */
const KERNEL_SETTINGS = [
  'vm/overcommit_memory=1',
  'vm/panic_on_oom=0',
  'kernel/panic=10',
  'kernel/panic_on_oops=1',
  'kernel/keys/root_maxkeys=1000000',
  'kernel/keys/root_maxbytes=25000000',
];

const script = `set -e
name=$1 address=$2 layers=$3
shift 3
hostname "$name"
mkdir -p "$layers"
mount -t tmpfs -o mode=0755 tmpfs "$layers"
for directory in "$@"; do
  [ -d "$directory" ] || continue
  layer=$layers/$(echo "$directory" | tr / _)
  mkdir -p "$layer/upper" "$layer/work"
  mount -t overlay overlay -o "lowerdir=$directory,upperdir=$layer/upper,workdir=$layer/work" "$directory"
done
for setting in ${KERNEL_SETTINGS.join(' ')}; do
  file=/proc/sys/\${setting%%=*}
  [ -e "$file" ] || continue
  copy=$layers/$(echo "$file" | tr / _)
  echo "\${setting#*=}" > "$copy"
  mount --bind "$copy" "$file"
done
mkdir -p /etc/kubernetes/manifests /var/lib/kubelet
printf '127.0.0.1 localhost\n%s %s\n' "$address" "$name" > /etc/hosts
echo ready
while sleep 3600; do :; done
`;

const unshare = [
  '--mount',
  '--uts',
  '--pid',
  '--fork',
  '--mount-proc',
  '--kill-child=KILL',
  '--propagation',
  'private',
];

/** Why this process cannot make a machine, or undefined. Tried once, for real. */
export function whyNoMachine(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  if (hostAddress() === undefined) return 'this host has no address but the loopback';
  const probe = `${script.replace(/while sleep[^]*$/, '')}exit 0\n`;
  const args = [...unshare, 'sh', '-c', probe, 'sh', 'probe', '127.0.0.1', '/mnt', ...OWN_DIRECTORIES];
  const { status, stderr, error } = spawnSync('unshare', args, { encoding: 'utf8', timeout: 20_000 });
  return status === 0 ? undefined : `no private mounts: ${error?.message ?? stderr.trim()}`;
}

/** Kubelets refuse to announce a loopback address. */
export function hostAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flat()
    .find((entry) => entry?.family === 'IPv4' && !entry.internal)?.address;
}

export async function startMachine(options: { readonly name: string; readonly dir: string }): Promise<Machine> {
  const dir = path.join(options.dir, `machine-${options.name}`);
  mkdirSync(dir, { recursive: true });
  const address = hostAddress();
  if (address === undefined) throw new Error('this host has no address but the loopback');
  const init = startProgram({
    name: 'machine',
    dir,
    path: 'unshare',
    args: [...unshare, 'sh', '-c', script, 'sh', options.name, address, path.join(dir, 'layers'), ...OWN_DIRECTORIES],
  });
  await until('machine', () => init.log().includes('ready') || undefined, { programs: [init], timeoutMs: 30_000 });
  const pid = childOf(init.pid);
  const enter = ['--target', String(pid), '--mount', '--uts', '--pid', '--'];
  return {
    name: options.name,
    dir,
    address,
    file: (inside) => path.join('/proc', String(pid), 'root', inside),
    start: (program) =>
      startProgram({ ...program, dir, path: 'nsenter', args: [...enter, program.path, ...program.args], inside: true }),
    run: (command, args, { env, timeoutMs = 60_000 } = {}) =>
      runToEnd([...enter, command, ...args], { env: { ...process.env, ...env }, cwd: dir, timeoutMs }),
    stop: () => init.stop('SIGKILL'),
  };
}

function runToEnd(
  args: readonly string[],
  { env, cwd, timeoutMs }: { readonly env: NodeJS.ProcessEnv; readonly cwd: string; readonly timeoutMs: number },
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn('nsenter', args, { env, cwd, timeout: timeoutMs, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code, ...output });
    });
  });
}

/** Writes a file into the machine, with the directories above it. */
export function writeInside(machine: Machine, inside: string, text: string, mode = 0o600): void {
  const file = machine.file(inside);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text, { mode });
}
