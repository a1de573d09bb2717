import { readFileSync } from 'node:fs';

import { Command, CommanderError, Option } from 'commander';

import { RotundaError } from '../errors.js';
import { exitCodes, type Failure, isFailure, localFailure, renderFailure } from './failure.js';
import { type Io, processIo } from './io.js';
import { nouns } from './nouns.js';
import { formats } from './output.js';

/** Runs one command line (without the program's name) and resolves to its exit code. Never rejects. */
export async function runCli(argv: readonly string[], io: Io = processIo): Promise<number> {
  try {
    await createProgram(io).parseAsync([...argv], { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.local;
    io.err(renderFailure(asFailure(error)));
    return isFailure(error) ? error.exitCode : exitCodes.local;
  }
}

/** The whole command tree. */
export function createProgram(io: Io): Command {
  const program = new Command('rotunda')
    .description('The PKI that a Kubernetes cluster is born from and lives on')
    .version(version(), '-V, --version', 'print the version of this program')
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      writeOut: io.out,
      writeErr: io.err,
      outputError: (text, write) => {
        write(usageError(text));
      },
    })
    .addHelpText('after', exitHelp);
  for (const option of commonOptions()) program.addOption(option);
  for (const noun of nouns) noun(program, io);
  return program;
}

const exitHelp = `
Flags win over environment variables, those over the kubeconfig.

Exit codes:
  0    done
  1    wrong usage, or something on this machine
  2    the server refused, or cannot be reached or trusted
  3    request replay: something would be different; kubernetes status: not attached
  130  interrupted`;

function commonOptions(): Option[] {
  const option = (flags: string, description: string): Option => {
    const made = new Option(flags, description);
    return made.env(`ROTUNDA_${made.attributeName().replace(/[A-Z]/g, '_$&').toUpperCase()}`);
  };
  return [
    option('--kubeconfig <file>', 'credentials; default admin.kubeconfig in the data directory'),
    option('--data-dir <dir>', 'data directory of a service on this machine; default ./rotunda-data'),
    option('--server <url>', 'where the service is, https://HOST:PORT'),
    option('--token <token>', 'bootstrap token to authenticate with'),
    option('--cert <file>', 'client certificate to authenticate with, PEM'),
    option('--key <file>', 'its key, PEM'),
    option('--ca <file>', 'authorities that the server is verified with, PEM'),
    option('--pin <pin>', 'sha256:HEX of the key of the authority that the server is verified with'),
    option('--pin-ring <ring>', 'ring of that authority; default kubernetes'),
    option('--timeout <duration>', 'how long to wait for an answer; default 30s'),
    option('-o, --output <format>', 'how to print data').choices([...formats, 'pem']),
  ];
}

function version(): string {
  // The same file from src and from dist/src.
  for (const place of ['../../package.json', '../../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as { version?: string };
      if (found.version !== undefined) return found.version;
    } catch {
      // Not there: the other place has it.
    }
  }
  return 'unknown';
}

/** Commander's own errors in the form of all others. */
function usageError(text: string): string {
  return text.replace(/\n?\(Did you mean (.*)\?\)\n?$/s, (_whole, names: string) => `\nhint: did you mean ${names}?\n`);
}

function asFailure(error: unknown): Failure {
  if (isFailure(error)) return error;
  if (error instanceof RotundaError) {
    const causes = error.details.causes ?? [];
    const details =
      causes.length > 1
        ? causes.map(({ field, message }) => (field === undefined ? message : `${field}: ${message}`))
        : [];
    return localFailure(details.length > 0 ? `${details.length} fields break rules` : error.message, {
      details,
      hints: error.details.hint === undefined ? [] : [error.details.hint],
    });
  }
  if (error instanceof Error && 'syscall' in error) return systemFailure(error);
  // A defect of this program: its stack is what helps to find it.
  return localFailure(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

function systemFailure(error: Error): Failure {
  const inUse = 'code' in error && error.code === 'EADDRINUSE';
  return localFailure(error.message, {
    cause: error,
    hints: inUse ? ['another program listens there: choose another address with --listen HOST:PORT'] : [],
  });
}
