import { parse, stringify } from 'yaml';

/** Block style, keys sorted as upstream does, nothing folded. */
export function stringifyYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, sortMapEntries: true, aliasDuplicateObjects: false });
}

/** One YAML document as JSON data. Throws what the parser throws; aliases are bounded by it. */
export function parseYaml(text: string): unknown {
  return parse(text, {
    maxAliasCount: 50,
    uniqueKeys: false,
    prettyErrors: true,
    logLevel: 'silent',
    stringKeys: true,
  });
}

/** Whether YAML is the first thing accepted. */
export function wantsYaml(accept: string | undefined): boolean {
  return accept !== undefined && accept.startsWith('application/yaml');
}
