import { type Context, readLabel, ringWord, worldWord } from './context.js';
import { anchorsOf, get, ring, states, type Words } from './layout.js';
import { moveNames } from './protocol.js';
import type { StateTable } from './state-table.js';

const trusted = ['nothing', 'old', 'new', 'old, new'];
const leaves = ['', 'of the old authority', 'of the new authority', 'of the old authority, of after the way back'];

/** The steps from the beginning to a state, each in words. */
export function tell(context: Context, table: StateTable, last: number): string[] {
  const path: number[] = [];
  for (let at = last; table.parent(at) >= 0; at = table.parent(at)) path.unshift(at);
  const before = new Int32Array(context.now.length);
  const after = new Int32Array(context.now.length);
  return path.map((index) => {
    table.read(table.parent(index), before);
    table.read(index, after);
    return sentence(context, table.label(index), before, after);
  });
}

function sentence(context: Context, label: number, before: Words, after: Words): string {
  const { step, index, argument } = readLabel(label);
  const who = context.setup.peers[index]?.name ?? '';
  const bundle = `bundle ${String(argument)} {${trusted[anchorsOf(worldWord(context, after), argument)] ?? ''}}`;
  const leaf = `a leaf ${leaves[argument] ?? ''}`;
  const where = states[get(ringWord(context, after), ring.state)] ?? '';
  switch (step) {
    case 'fetch':
      return `${who} writes ${bundle} to its file`;
    case 'load':
      return `${who}'s process loads ${bundle}`;
    case 'send':
      return `${who} sends a report: ${bundle}`;
    case 'receive':
      return `a report of ${who} arrives that was under way: ${bundle}`;
    case 'report':
      return `${who} reports ${bundle}`;
    case 'handshake':
      return `${who} talks to the service over a chain with the cross-certificate; noted as ${bundle}`;
    case 'forge':
      return `somebody with the old key acknowledges ${bundle} as ${who}`;
    case 'ask':
      return `the ledger takes up ${leaf} for ${who}`;
    case 'sign':
      return `${leaf} for ${who} is signed and sent`;
    case 'abandon':
      return `the service stops before it has signed ${leaf} for ${who}`;
    case 'deliver':
      return `${who} receives ${leaf}`;
    case 'reload':
      return `${who}'s process loads ${leaf}`;
    case 'seen':
      return `the service sees ${who} present ${leaf}`;
    case 'record':
      return `the ledger takes up what ${who} was given`;
    case 'stale-report':
      return `an earlier report of ${who} arrives: it presents ${leaf}`;
    case 'sign-old':
      return `a replica that has not heard of the change signs ${leaf} for ${who}`;
    case 'expire':
      return `${leaf} of ${who} expires`;
    case 'horizon':
      return `it is so long ago that no answer with ${leaf} arrives any more`;
    case 'admit':
      return `${who} joins; its image has ${bundle}`;
    case 'rebuild':
      return `${who}'s machine is lost, and will be rebuilt`;
    case 'die':
      return `${who}'s machine is lost for good`;
    case 'quarantine':
      return `${who} is silent, and is quarantined`;
    case 'return':
      return `${who} comes back from quarantine with ${bundle}`;
    case 'register':
      return `${who} is registered`;
    case 'move':
      return `${moveNames[argument] ?? ''}: the rotation is ${where}`;
    case 'decide':
      return `another controller decides: ${moveNames[argument] ?? ''}`;
    case 'commit':
      return `that controller writes ${moveNames[argument] ?? ''}: the rotation is ${where}`;
    case 'crash':
      return 'that controller stops and has forgotten it';
    case 'pause':
      return 'an operator pauses';
    case 'resume':
      return 'an operator resumes';
    case 'hour':
      return argument === 1 ? 'half of the time to the deadline has passed' : 'the deadline has passed';
    case 'certificate-expires':
      return 'the earlier certificate expires';
    case 'declare':
      return `the old key is declared compromised: the rotation is ${where}, from ${states[get(ringWord(context, before), ring.state)] ?? ''}`;
  }
}
