import { explore } from './explore.js';
import { mutants } from './mutants.js';
let total = 0;
for (const m of mutants) {
  const r = explore(m.setup, {
    flaws: Object.fromEntries(m.flaws.map((f) => [f, true])),
    watch: m.breaks,
    most: 3_000_000,
  });
  total += r.milliseconds;
  console.log(
    `${m.title} ${m.flaws}`,
    r.states,
    r.depth,
    Math.round(r.milliseconds),
    r.violation ? r.violation.invariant + ' ' + r.violation.text : 'NO COUNTEREXAMPLE',
  );
  if (process.argv[2] && m.title.includes(process.argv[2])) console.log('   ' + r.violation?.trace.join('\n   '));
}
console.log(total);
