import { readFileSync } from 'node:fs';

/** One request of a case, and what is done around it. */
export type Step = {
  readonly kind?: 'watch' | 'until' | 'sleep';
  readonly as?: string;
  readonly method?: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | readonly string[]>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly bodyText?: string;
  readonly bodyB64?: string;
  readonly set?: Readonly<Record<string, unknown>>;
  readonly during?: readonly Step[];
  readonly forMs?: number;
  readonly timeoutMs?: number;
  readonly ms?: number;
  readonly condition?: string;
  readonly mine?: boolean;
  readonly noteClose?: boolean;
  readonly pick?: string;
  readonly keys?: string | boolean;
  readonly status?: 'only';
  readonly binary?: boolean;
};

export type Case = {
  readonly id: string;
  readonly as?: string;
  readonly steps: readonly Step[];
  readonly cleanup?: readonly string[];
  /** What a real control plane answered, one for each step. */
  readonly outcome: readonly unknown[];
};

export type Recording = { readonly fixtures: Readonly<Record<string, string>>; readonly cases: readonly Case[] };

/** The exchanges recorded from a kube-apiserver and kube-controller-manager 1.36.3. */
export function readRecording(): Recording {
  return JSON.parse(readFileSync(new URL('cases.json', import.meta.url), 'utf8')) as Recording;
}
