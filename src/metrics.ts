import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export type Outcome = 'approved' | 'denied' | 'held' | 'failed';

/** What the service counts. Labels are of low cardinality: profiles, rings, outcomes, never names. */
export type Metrics = {
  /** The media type of what render gives. */
  readonly contentType: string;
  /** Fills the gauges that are read and not counted, then gives everything as text. */
  render(): Promise<string>;
  requestDecided(profile: string, outcome: Outcome): void;
  certificateIssued(profile: string, ring: string): void;
  /** Seconds from submit to durable certificate. */
  issueSeconds(profile: string, seconds: number): void;
  httpSeconds(labels: { surface: string; method: string; status: number }, seconds: number): void;
  watches(change: 1 | -1): void;
  /** Requests that the cleaner deleted, by what had become of them. */
  requestsCleaned(state: string, count: number): void;
  /** Calls that were told to wait (429), by which limit. */
  limited(
    limit: 'identity' | 'anonymous' | 'repeats' | 'undecided' | 'issued' | 'signing' | 'renewals' | 'watches' | 'lists',
  ): void;
  /** Adds to what fills those gauges. */
  onScrape(collect: (gauges: ScrapeGauges) => Promise<void>): void;
};

export type ScrapeGauges = {
  certificatesExpiring: Gauge<'ring' | 'within'>;
  authorityExpiry: Gauge<'ring' | 'authority'>;
  secondsToFirstExpiry: Gauge;
  requestsHeld: Gauge;
  signing: Gauge<'state'>;
  cleaningPaused: Gauge;
  eventLoopDelay: Gauge<'quantile'>;
  renewalsPeak: Gauge;
} & RotationGauges;

type RotationGauges = {
  rotationState: Gauge<'ring' | 'kind' | 'state'>;
  rotationStateSeconds: Gauge<'ring'>;
  rotationFailing: Gauge<'ring'>;
  rotationGateRatio: Gauge<'ring' | 'gate'>;
  rotationBlockers: Gauge<'ring' | 'kind'>;
  rotationStartBy: Gauge<'ring'>;
  bundleAcknowledgedRatio: Gauge<'ring'>;
};

const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Builds the metrics of one service in their own registry. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const { decided, issued, issueTime, httpTime, cleaned, refused, watchers } = counted(registers);
  const gauges = scrapeGauges(registers);
  const collectors: ((gauges: ScrapeGauges) => Promise<void>)[] = [];
  return {
    contentType: registry.contentType,
    render: async () => {
      for (const collect of collectors) await collect(gauges);
      return registry.metrics();
    },
    requestDecided: (profile, outcome) => {
      decided.inc({ profile, outcome });
    },
    certificateIssued: (profile, ring) => {
      issued.inc({ profile, ring });
    },
    issueSeconds: (profile, seconds) => {
      issueTime.observe({ profile }, seconds);
    },
    httpSeconds: (labels, seconds) => {
      httpTime.observe(labels, seconds);
    },
    watches: (change) => {
      watchers.inc(change);
    },
    requestsCleaned: (state, count) => {
      cleaned.inc({ state }, count);
    },
    limited: (limit) => {
      refused.inc({ limit });
    },
    onScrape: (collect) => {
      collectors.push(collect);
    },
  };
}

type Counted = {
  readonly decided: Counter<'profile' | 'outcome'>;
  readonly issued: Counter<'profile' | 'ring'>;
  readonly issueTime: Histogram<'profile'>;
  readonly httpTime: Histogram<'surface' | 'method' | 'status'>;
  readonly cleaned: Counter<'state'>;
  readonly refused: Counter<'limit'>;
  readonly watchers: Gauge;
};

/** What is counted as it happens. */
function counted(registers: Registry[]): Counted {
  return {
    decided: new Counter({
      name: 'rotunda_requests_decided_total',
      help: 'Decisions over requests, by profile and outcome.',
      labelNames: ['profile', 'outcome'] as const,
      registers,
    }),
    issued: new Counter({
      name: 'rotunda_certificates_issued_total',
      help: 'Certificates issued, by profile and ring.',
      labelNames: ['profile', 'ring'] as const,
      registers,
    }),
    issueTime: new Histogram({
      name: 'rotunda_issue_duration_seconds',
      help: 'Time from submitting a request to its durable certificate.',
      labelNames: ['profile'] as const,
      buckets: latencyBuckets,
      registers,
    }),
    httpTime: new Histogram({
      name: 'rotunda_http_request_duration_seconds',
      help: 'Time to answer, by surface, method and status. Watches are not counted.',
      labelNames: ['surface', 'method', 'status'] as const,
      buckets: latencyBuckets,
      registers,
    }),
    cleaned: new Counter({
      name: 'rotunda_requests_cleaned_total',
      help: 'Requests deleted because they were kept long enough, by what had become of them.',
      labelNames: ['state'] as const,
      registers,
    }),
    refused: new Counter({
      name: 'rotunda_limited_total',
      help: 'Calls answered with 429, by the limit that they met.',
      labelNames: ['limit'] as const,
      registers,
    }),
    watchers: new Gauge({ name: 'rotunda_watches', help: 'Open watches.', registers }),
  };
}

function scrapeGauges(registers: Registry[]): ScrapeGauges {
  return {
    ...rotationGauges(registers),
    certificatesExpiring: new Gauge({
      name: 'rotunda_certificates_expiring',
      help: 'Live certificates that expire within the given time, by ring.',
      labelNames: ['ring', 'within'] as const,
      registers,
    }),
    authorityExpiry: new Gauge({
      name: 'rotunda_authority_expiry_timestamp_seconds',
      help: 'When the authority certificate expires, seconds since 1970.',
      labelNames: ['ring', 'authority'] as const,
      registers,
    }),
    secondsToFirstExpiry: new Gauge({
      name: 'rotunda_seconds_to_first_expiry',
      help: 'How long until the first live certificate expires if the service stopped now.',
      registers,
    }),
    requestsHeld: new Gauge({
      name: 'rotunda_requests_held',
      help: 'Requests that wait for facts or a person.',
      registers,
    }),
    signing: new Gauge({
      name: 'rotunda_signing_queue',
      help: 'Submitted requests that are being worked on (running), and that wait for it (waiting).',
      labelNames: ['state'] as const,
      registers,
    }),
    eventLoopDelay: new Gauge({
      name: 'rotunda_event_loop_delay_seconds',
      help: 'How late the event loop was since the last scrape; about 0.01 when idle.',
      labelNames: ['quantile'] as const,
      registers,
    }),
    renewalsPeak: new Gauge({
      name: 'rotunda_renewals_planned_peak',
      help: 'Renewals a second in the fullest time ahead, as they are planned.',
      registers,
    }),
    cleaningPaused: new Gauge({
      name: 'rotunda_cleaning_paused',
      help: '1 while nothing is cleaned up because the clock jumped.',
      registers,
    }),
  };
}

function rotationGauges(registers: Registry[]): RotationGauges {
  return {
    rotationState: new Gauge({
      name: 'rotunda_rotation_state',
      help: '1 for the state that the rotation of a ring is in; nothing while none runs.',
      labelNames: ['ring', 'kind', 'state'] as const,
      registers,
    }),
    rotationStateSeconds: new Gauge({
      name: 'rotunda_rotation_state_seconds',
      help: 'How long the rotation of a ring has been in its state.',
      labelNames: ['ring'] as const,
      registers,
    }),
    rotationFailing: new Gauge({
      name: 'rotunda_rotation_failing',
      help: '1 while the steps of the rotation of a ring fail; 1 on the replica that leads alone.',
      labelNames: ['ring'] as const,
      registers,
    }),
    rotationGateRatio: new Gauge({
      name: 'rotunda_rotation_gate_ratio',
      help: 'Of what the gate ahead asks for: how much holds. 1: it passes.',
      labelNames: ['ring', 'gate'] as const,
      registers,
    }),
    rotationBlockers: new Gauge({
      name: 'rotunda_rotation_blockers',
      help: 'What keeps the gate ahead shut, by kind: consumer, class, certificate, copy, pin, probe, time, operator, authority.',
      labelNames: ['ring', 'kind'] as const,
      registers,
    }),
    rotationStartBy: new Gauge({
      name: 'rotunda_rotation_start_by_timestamp_seconds',
      help: 'From when on a rotation of the ring is late: two of them, and the wait for a window, no longer fit before its authority ends. Seconds since 1970.',
      labelNames: ['ring'] as const,
      registers,
    }),
    bundleAcknowledgedRatio: new Gauge({
      name: 'rotunda_bundle_acknowledged_ratio',
      help: 'Of the registered verifiers of a ring: how many are known to have loaded its present bundle.',
      labelNames: ['ring'] as const,
      registers,
    }),
  };
}
