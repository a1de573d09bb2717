import type { Audit } from '../../audit/types.js';
import type { Ca } from '../../ca/types.js';
import type { Clock, Random } from '../../clock.js';
import type { Profile } from '../../csr/types.js';
import { RotundaError } from '../../errors.js';
import type { Metrics } from '../../metrics.js';
import { findRenewal } from '../../store/queries/renewals.js';
import type { Store } from '../../store/types.js';
import type { Rate } from './admission.js';
import { createBookKeeping } from './book-keeping.js';
import { parseCertificateId } from './certificate-id.js';
import type { Draw } from './choice.js';
import { type ConfiguredClients, renewalClientOf } from './clients.js';
import { infoOf, type RenewalInfo } from './info.js';
import { createPlanner } from './planner.js';
import { createRuleBook } from './rule-book.js';
import type { RenewalClient, RenewalPlanning, RenewalPolicy, RenewalRule } from './types.js';
import { createWaitingRoom } from './waiting-room.js';
import { askFor, type WaveDraft } from './waves.js';

/** Of configuration. */
export type RenewalSettings = {
  readonly policy: RenewalPolicy;
  readonly steerKubelets: boolean;
  readonly bucketMs: number;
  readonly retryAfterMs: number;
  readonly rate: Rate | undefined;
  readonly clients: ConfiguredClients;
};

export type RenewalsOptions = {
  readonly store: Store;
  readonly ca: Pick<Ca, 'rings' | 'authorities'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly metrics: Metrics;
  readonly profiles: readonly Profile[];
  readonly settings: RenewalSettings;
};

/** When the certificates of this service are renewed. */
export type Renewals = RenewalPlanning & {
  /**
   * When a certificate is to be renewed; `id` is RFC 9773's, or its serial. Throws 'bad-request' for what is no id,
   * 'not-found'.
   */
  info(id: string): Promise<RenewalInfo>;
  /** The same list as long as nothing changes. */
  rules(): readonly RenewalRule[];
  /** See askFor. `actor` is a user name. */
  ask(draft: WaveDraft, actor: string): Promise<RenewalRule | undefined>;
  /** Lets them go by their plan again. Throws 'not-found'. */
  withdraw(id: string, actor: string): Promise<void>;
  /** Writes down what was planned. To be called again and again, and at the end. */
  keep(): Promise<void>;
};

const dayMs = 86_400_000;
const longestHorizonMs = 400 * dayMs;
/** Shorter lives are no kubelet's as it is set up for work, and never end up below upstream's ten minutes. */
const leastSteeredMs = 3_600_000;
const rotatingRetryMs = 5 * 60_000;
/** What is reckoned with where no rate is configured: far below what one core signs and stores. */
const assumedPerSecond = 100;

export async function createRenewals(options: RenewalsOptions): Promise<Renewals> {
  const { store, clock, metrics, profiles, settings, random } = options;
  const { policy, bucketMs, retryAfterMs, rate } = settings;
  const now = (): number => clock.now().getTime();
  const longest = Math.max(dayMs, ...profiles.map(({ lifetime }) => lifetime.longest));
  const horizonMs = Math.min(longestHorizonMs, longest);
  const keeping = await createBookKeeping({ store, bucketMs, horizonMs, now: now() });
  const { book } = keeping;
  const rules = await createRuleBook({ ...options, keptMs: longest });
  const planner = createPlanner({ book, policy, draw: drawFrom(random) });
  const waiting = rate && createWaitingRoom({ rate, clock, metrics });
  const clients = new Map(profiles.map((profile) => [profile.signerName, renewalClientOf(profile, settings.clients)]));
  const clientOf = (signerName: string): RenewalClient => clients.get(signerName) ?? informed;
  // While an authority is being replaced, what is asked for may change at any time.
  const soon = (ring: string): number => {
    const isRotating = options.ca.rings().some(({ name, rotating }) => name === ring && rotating);
    return isRotating ? Math.min(retryAfterMs, rotatingRetryMs) : retryAfterMs;
  };
  measure(metrics, () => book.peak().planned / (bucketMs / 1000));
  return Object.freeze<Renewals>({
    choose: ({ signerName }, life, asked) => {
      const steerable = settings.steerKubelets && !asked && life.notAfter - life.notBefore >= leastSteeredMs;
      const { notAfter, from, until } = planner.plan(clientOf(signerName), life, steerable);
      return { notAfter, renewFrom: Math.floor(from), renewUntil: Math.ceil(until) };
    },
    issued: ({ profile, renewFrom, renewUntil }) => {
      if (renewFrom === undefined || renewUntil === undefined) return;
      planner.count(clientOf(profile), { from: renewFrom, until: renewUntil });
    },
    admit: async (identity) => waiting?.admit(identity),
    info: async (id) => {
      const { serial, authority } = parseCertificateId(id);
      const row = await findRenewal(store.db, serial);
      if (row === undefined || (authority !== undefined && authority !== row.ski)) throw unknown(id);
      const asked = { ...settings, retryAfterMs: soon(row.ring), client: clientOf(row.profile), rules: rules.list() };
      return infoOf(row, { ...asked, now: now() });
    },
    rules: () => rules.list(),
    ask: (draft, actor) => {
      const capacity = { perSecond: rate?.perSecond ?? assumedPerSecond, retryAfterMs, until: policy.window.until };
      return askFor(draft, { ...options, ...capacity, rules, book, now: now(), actor });
    },
    withdraw: (id, actor) => rules.remove(id, actor),
    keep: async () => {
      await keeping.keep(now());
      await rules.prune();
    },
  });
}

const informed: RenewalClient = { kind: 'informed' };

/** Numbers from 0 to below 1, 32 random bits each. */
function drawFrom(random: Random): Draw {
  return () => random.bytes(4).readUInt32LE(0) / 2 ** 32;
}

function measure(metrics: Metrics, peakPerSecond: () => number): void {
  metrics.onScrape((gauges) => {
    gauges.renewalsPeak.set(peakPerSecond());
    return Promise.resolve();
  });
}

function unknown(id: string): RotundaError {
  return new RotundaError('not-found', `there is no certificate ${JSON.stringify(id.slice(0, 100))}`, {
    object: { resource: 'certificates', name: id.slice(0, 100) },
  });
}
