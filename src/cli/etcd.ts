import type { Command } from 'commander';

import { clusterCommands } from './etcd-cluster.js';
import { issueCommand } from './etcd-issue.js';
import { memberCommands } from './etcd-member.js';
import type { Io } from './io.js';

export function etcdNoun(program: Command, io: Io): void {
  const noun = program.command('etcd').description('etcd clusters and their members');
  clusterCommands(noun, io);
  memberCommands(noun, io);
  issueCommand(noun, io);
}
