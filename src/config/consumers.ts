import { z } from 'zod';

import type { FieldCause } from '../errors.js';
import { RotundaError } from '../errors.js';
import { readDraft } from '../fleet/consumers/drafts.js';
import { fullName } from '../fleet/consumers/names.js';
import { ringsOfClass } from '../fleet/consumers/classes.js';
import type { ConfiguredConsumer } from '../fleet/consumers/types.js';
import { ringName } from './names.js';
import type { Config } from './types.js';

/** `consumers` of the configuration file. */
export const consumersSchema = z
  .array(
    z.strictObject({
      class: z.string().min(1).max(63),
      name: z.string().min(1).max(400),
      node: z.string().min(1).max(253).optional(),
      endpoints: z.array(z.string().min(1).max(300)).max(16).optional(),
      software: z.string().max(128).optional(),
      /** Rings that it verifies; those of its class when left out. */
      rings: z.array(ringName).min(1).max(32).optional(),
    }),
  )
  .max(1000);

type ConsumersFile = z.infer<typeof consumersSchema>;

export function consumersFrom(file: ConsumersFile | undefined): readonly ConfiguredConsumer[] {
  return (file ?? []).map(({ class: of, name, node, endpoints = [], software, rings }) => ({
    ...{ class: of, name, endpoints },
    ...(node !== undefined && { node }),
    ...(software !== undefined && { software }),
    ...(rings !== undefined && { rings }),
  }));
}

/** What single fields of `consumers` cannot show, and what the room that keeps consumers refuses. */
export function consumerContradictions({ consumers, rings, topology }: Config): FieldCause[] {
  const known = rings.map(({ name }) => name);
  const seen = new Set<string>();
  return consumers.flatMap((consumer, index) => {
    const field = `consumers[${String(index)}]`;
    const name = fullName(consumer);
    const twice = seen.has(name);
    seen.add(name);
    return [
      ...draftCauses(consumer, field),
      ...(twice ? [refused(`${field}.name`, name, 'is there twice')] : []),
      ...(consumer.rings ?? [])
        .filter((ring) => !known.includes(ring))
        .map((ring) => refused(`${field}.rings`, ring, `there is no such ring; rings are ${known.join(', ')}`)),
      ...(consumer.rings === undefined && (ringsOfClass(topology, consumer.class) ?? []).length === 0
        ? [refused(`${field}.class`, consumer.class, 'is no built-in class of a ring here, so rings must be given')]
        : []),
    ];
  });
}

function draftCauses({ class: of, name, endpoints, ...more }: ConfiguredConsumer, field: string): FieldCause[] {
  const { rings: _rings, ...fields } = more;
  try {
    readDraft({ class: of, name, endpoints, ...fields });
    return [];
  } catch (error) {
    if (!(error instanceof RotundaError)) throw error;
    return (error.details.causes ?? []).map((cause) => ({ ...cause, field: `${field}.${cause.field ?? ''}` }));
  }
}

function refused(field: string, value: string, problem: string): FieldCause {
  return { field, reason: 'FieldValueInvalid', message: `${JSON.stringify(value)}: ${problem}` };
}
