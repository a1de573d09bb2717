import { nodeKind } from '../rotunda/node-kind.js';
import { configMaps } from '../core/config-maps.js';
import { secrets } from '../core/secrets.js';
import type { ResourceKind } from './types.js';

/** Every kind of plain objects that is served. Routes, discovery and OpenAPI follow from it. */
export const plainKinds: readonly ResourceKind[] = [configMaps, secrets, nodeKind];

export function findKind(group: string, resource: string): ResourceKind | undefined {
  return plainKinds.find((kind) => kind.group === group && kind.resource === resource);
}
