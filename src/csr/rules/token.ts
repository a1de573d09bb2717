import type { TokenFacts } from '../../identity/types.js';

/** Why a token may not ask for anything any more; undefined while it may. */
export function tokenFault(token: TokenFacts): string | undefined {
  if (token.state === 'used')
    return `the bootstrap token ${token.id} is used up: its certificate has been used to authenticate`;
  return token.state === 'revoked' ? `the bootstrap token ${token.id} is revoked` : undefined;
}

/** What a token is for, as a message says it. */
export function tokenPurpose(token: TokenFacts): string {
  switch (token.kind) {
    case 'node':
      return `the node ${JSON.stringify(token.node ?? '')}`;
    case 'unbound':
      return 'joining enrolled nodes';
    case 'etcd-member':
      return `the etcd member ${JSON.stringify(`${token.cluster ?? ''}/${token.member ?? ''}`)}`;
    case 'control-plane':
      return `the control plane ${JSON.stringify(token.node ?? '')}`;
  }
}
