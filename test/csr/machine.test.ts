import fc from 'fast-check';
import { expect, it } from 'vitest';

import type { CertificateRequest } from '../../src/csr/types.js';
import { RotundaError } from '../../src/errors.js';
import { describeEachStore } from '../support/stores.js';
import {
  administrator,
  apiserverClient,
  draft,
  kubeletClient,
  nodeIdentity,
  nodeSubject,
  type Service,
  startService,
} from './support.js';

type Known = { readonly name: string; certificate: string | undefined; readonly decided: Set<string> };
type Model = { readonly known: Map<string, Known> };
type Step = fc.AsyncCommand<Model, Service>;

const decisive = ['Approved', 'Denied', 'Failed'];

/** Refusals are part of the game; anything but a refusal is a defect. */
async function refusedOr<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof RotundaError && error.status < 500) return undefined;
    throw error;
  }
}

/** What must hold of every request at any time, and between two looks at it. */
async function check(model: Model, service: Service): Promise<void> {
  const { items } = await service.requests.list({});
  expect(items).toHaveLength(model.known.size);
  for (const text of items) {
    const request = JSON.parse(text) as CertificateRequest;
    const known = model.known.get(request.metadata.name);
    if (known === undefined) throw new Error(`nobody made ${request.metadata.name}`);
    const types = (request.status.conditions ?? []).map((condition) => condition.type);
    expect(new Set(types).size).toBe(types.length);
    expect(types.includes('Approved') && types.includes('Denied')).toBe(false);
    for (const type of known.decided) expect(types).toContain(type);
    for (const type of types) if (decisive.includes(type)) known.decided.add(type);
    const { certificate } = request.status;
    if (known.certificate !== undefined) expect(certificate).toBe(known.certificate);
    known.certificate = certificate;
  }
  await checkLedger(service);
}

/** Every certificate of the inventory was intended first, and a request has the one that its row names. */
async function checkLedger({ store }: Service): Promise<void> {
  // An approval may be issued between two reads: what is looked at first must be what follows from the others.
  const rows = await store.db.selectFrom('requests').select(['state', 'serial', 'revision', 'object']).execute();
  const issued = await store.db
    .selectFrom('certificates')
    .select(['serial', 'request_name'])
    .where('request_name', 'is not', null)
    .execute();
  const ledger = new Map(
    (await store.db.selectFrom('ledger').select(['serial', 'state']).execute()).map((row) => [row.serial, row.state]),
  );
  for (const { serial } of issued) expect(ledger.get(serial)).toBe('issued');
  for (const row of rows) {
    expect((JSON.parse(row.object) as CertificateRequest).metadata.resourceVersion).toBe(String(row.revision));
    if (row.state === 'issued') expect(issued.some((certificate) => certificate.serial === row.serial)).toBe(true);
  }
}

const step = (label: string, run: (model: Model, service: Service) => Promise<void>): Step => ({
  check: () => true,
  run: async (model, service) => {
    await run(model, service);
    await check(model, service);
  },
  toString: () => label,
});

const pick = (model: Model, index: number): string =>
  [...model.known.keys()][index % Math.max(1, model.known.size)] ?? 'nothing';

const submitStep = (byNode: boolean, signer: string): Step =>
  step(`submit ${signer} by ${byNode ? 'node' : 'person'}`, async (model, service) => {
    const who = byNode ? nodeIdentity('node-a') : administrator;
    const { request, settled } = await service.requests.submit(who, draft(signer, nodeSubject('node-a')));
    const { name } = request.metadata;
    model.known.set(name, { name, certificate: undefined, decided: new Set() });
    await settled;
  });

const decideStep = (index: number, verdict: 'Approved' | 'Denied', twice: boolean): Step =>
  step(`${verdict} ${String(index)}`, async (model, service) => {
    const name = pick(model, index);
    const decide = () => refusedOr(service.requests.decide(name, verdict, { identity: administrator }));
    await Promise.all(twice ? [decide(), decide(), service.requests.reconsider()] : [decide()]);
  });

const statusStep = (index: number, keep: boolean): Step =>
  step(`status ${String(index)}`, async (model, service) => {
    const failed = { type: 'Failed', status: 'True', reason: 'Test', message: 'x' };
    const change = (current: CertificateRequest): CertificateRequest => ({
      ...current,
      status: {
        conditions: keep ? [...(current.status.conditions ?? []).filter((c) => c.type !== 'Failed'), failed] : [failed],
      },
    });
    await refusedOr(
      service.requests.update(pick(model, index), change, { endpoint: 'status', identity: administrator }),
    );
  });

const labelStep = (index: number, value: string): Step =>
  step(`label ${String(index)}`, async (model, service) => {
    const change = (current: CertificateRequest): CertificateRequest => ({
      ...current,
      metadata: { ...current.metadata, labels: { a: value } },
      status: { certificate: 'Zm9v' },
    });
    await refusedOr(service.requests.update(pick(model, index), change, { endpoint: 'main', identity: administrator }));
  });

const deleteStep = (index: number): Step =>
  step(`delete ${String(index)}`, async (model, service) => {
    const name = pick(model, index);
    const gone = await refusedOr(service.requests.delete(name, { identity: administrator }));
    if (gone?.gone === true) model.known.delete(name);
  });

const index = fc.nat(2);
const commands = fc.commands(
  [
    fc
      .tuple(fc.boolean(), fc.constantFrom(kubeletClient, apiserverClient, 'example.com/custom'))
      .map(([byNode, signer]) => submitStep(byNode, signer)),
    fc
      .tuple(index, fc.constantFrom<'Approved' | 'Denied'>('Approved', 'Denied'), fc.boolean())
      .map(([i, verdict, twice]) => decideStep(i, verdict, twice)),
    fc.tuple(index, fc.boolean()).map(([i, keep]) => statusStep(i, keep)),
    fc.tuple(index, fc.constantFrom('x', 'y', 'not a label')).map(([i, value]) => labelStep(i, value)),
    index.map(deleteStep),
  ],
  { maxCommands: 25, size: 'max' },
);

describeEachStore('any sequence of submissions, decisions, edits and deletions', (open) => {
  it('keeps certificates, decisions and the ledger as they were', { timeout: 60_000 }, async () => {
    const service = await startService(await open());
    const property = fc.asyncProperty(commands, async (sequence) => {
      for (const text of (await service.requests.list({})).items) {
        await service.requests.delete((JSON.parse(text) as CertificateRequest).metadata.name, {
          identity: administrator,
        });
      }
      await fc.asyncModelRun(() => ({ model: { known: new Map() }, real: service }), sequence);
    });
    await fc.assert(property, {
      numRuns: service.store.engine === 'sqlite' ? 60 : 15,
      interruptAfterTimeLimit: 40_000,
    });
  });
});
