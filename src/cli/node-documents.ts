import { isMap, isSeq, LineCounter, type Document, type Node as YamlNode, parseAllDocuments } from 'yaml';

import { localFailure } from './failure.js';
import type { Entry } from './node-entries.js';
import { draftOfManifest, isManifest, isManifestList } from './node-manifest.js';

/** What a listing of this service tells beside what can be set; an import of it elsewhere leaves it alone. */
const readOnly = new Set(['uid', 'state', 'createdAt', 'createdBy', 'joinedAt', 'disabledAt', 'certificate']);

type Raw = { readonly where: string; readonly value: unknown };

/** The nodes of a JSON text. Throws a local failure. */
export function readJson(name: string, text: string): readonly Entry[] {
  try {
    return entriesOf(name, [{ where: '', value: JSON.parse(text) as unknown }], () => '');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // YAML in flow style begins like JSON.
    if (text.length < 1024 * 1024) return readDocuments(name, text);
    throw localFailure(`${name}: ${error.message.slice(0, 200)}`, { cause: error });
  }
}

/** The nodes of all documents of a YAML text. Throws a local failure that names the line. */
export function readDocuments(name: string, text: string): readonly Entry[] {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter, uniqueKeys: true, stringKeys: true });
  const parsed: readonly Document[] = Array.isArray(documents) ? documents : [];
  return parsed.flatMap((document) => {
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem !== undefined) {
      const [message = ''] = problem.message.split('\n');
      throw localFailure(`${name}: ${message.replace(/:$/, '').slice(0, 300)}`, { cause: problem });
    }
    const lineOf = (node: unknown): string => {
      const start = (node as YamlNode | null)?.range?.[0];
      return start === undefined ? '' : `line ${lineCounter.linePos(start).line}`;
    };
    const value = valueOf(name, document);
    if (value === null || value === undefined) return [];
    const items = isSeq(document.contents) ? document.contents.items : itemsIn(document.contents);
    return entriesOf(name, [{ where: lineOf(document.contents), value }], (index) => lineOf(items[index]));
  });
}

function valueOf(name: string, document: Document): unknown {
  try {
    // Aliases of aliases grow without bound: a hundred is more than a list of nodes needs.
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    throw localFailure(`${name}: ${error.message}`, { cause: error });
  }
}

function itemsIn(contents: unknown): readonly unknown[] {
  const items: unknown = isMap(contents) ? contents.get('items', true) : undefined;
  return isSeq(items) ? items.items : [];
}

function entriesOf(name: string, documents: readonly Raw[], lineOf: (index: number) => string): readonly Entry[] {
  return documents.flatMap(({ where, value }) => {
    const items = listIn(value);
    if (items === undefined) return [entryOf(name, where === '' ? 'the object' : where, value)];
    return items.map((item, index) => {
      const line = lineOf(index);
      return entryOf(name, line === '' ? `item ${index + 1}` : `item ${index + 1}, ${line}`, item);
    });
  });
}

/** The items of a list, of Kubernetes' List and NodeList, and of what `rotunda node list -o yaml` prints. */
function listIn(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value as unknown[];
  if (!isManifestList(value)) return undefined;
  return value.items;
}

function entryOf(name: string, where: string, value: unknown): Entry {
  if (isManifest(value)) {
    if (value.kind !== 'Node') {
      throw localFailure(`${name}, ${where}: this is ${JSON.stringify(value.kind)}, not a Node`, {
        hints: ['kubectl get nodes -o yaml prints the nodes of a cluster'],
      });
    }
    return { where, draft: draftOfManifest(value) };
  }
  if (typeof value !== 'object' || value === null) return { where, draft: value };
  return { where, draft: Object.fromEntries(Object.entries(value).filter(([key]) => !readOnly.has(key))) };
}
