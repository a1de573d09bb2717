import { type Command, Option } from 'commander';

import { simulate } from '../rotation/renewal/simulation/simulate.js';
import type { Io } from './io.js';
import { scenariosOf, type SimulateFlags } from './simulate-flags.js';
import { printOutcomes } from './simulate-output.js';
import { action, examples } from './verb.js';

const policies = 'steered, random, kubelet, kubelet-steered, fixed or fixed-steered';

export function simulateNoun(program: Command, io: Io): void {
  program
    .command('simulate')
    .description('Show how renewals load a service and what survives an outage; computes here and asks no server')
    .option('--certificates <number>', 'how many: 1e5, a list 1e3,1e4 or powers of ten 1e3..1e7; default 1e5')
    .option('--policy <policy>', `how they are renewed: ${policies}; a list for several; default steered`)
    .option('--lifetime <duration>', 'of a certificate; default 24h')
    .option('--window <from-until>', 'per cent of the life in which clients that ask renew; default 50-85')
    .option('--tolerance <duration>', 'the outage that windows allow for, as renewal.outageTolerance')
    .option('--shortest <share>', 'the least share of its life that a steered certificate keeps; default 0.77')
    .option('--fixed-at <share>', 'where in the life fixed clients renew; default 0.667')
    .option('--burst <duration>', 'in which all are issued at first; default 10m')
    .option('--outage <duration>', 'how long the service is away')
    .option('--outage-at <duration>', 'when that begins, after the first certificate; default three lives')
    .option('--rotation-at <duration>', 'when another authority begins to sign')
    .option('--rate <number>', 'certificates that can be issued in a second; default as many as are asked for')
    .option('--turns <number>', 'how many times each is renewed, at least; default 3')
    .addOption(new Option('--bucket <duration>', 'how finely to count; default as fine as makes sense'))
    .option('--seed <number>', 'another one for other random numbers; default 1')
    .addHelpText(
      'after',
      examples(
        ['A burst, with and without steering', 'rotunda simulate --certificates 1e6 --policy steered,random,kubelet'],
        [
          'Eight hours without the service, and 60 certificates a second afterwards',
          'rotunda simulate --certificates 1e6 --window 50-66 --outage 8h --rate 60',
        ],
        ['From a thousand to ten million', 'rotunda simulate --certificates 1e3..1e7 -o json'],
      ),
    )
    .action(
      action<SimulateFlags>(io, async ({ options, format }) => {
        const outcomes = scenariosOf(options).map((scenario) => {
          const started = performance.now();
          const outcome = simulate(scenario);
          const took = ((performance.now() - started) / 1000).toFixed(1);
          io.err(`${scenario.policy}, ${String(scenario.certificates)} certificates: ${took} s\n`);
          return outcome;
        });
        printOutcomes(io, format, outcomes);
        await Promise.resolve();
      }),
    );
}
