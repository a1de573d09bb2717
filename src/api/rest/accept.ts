import { RotundaError } from '../../errors.js';
import { preferredType } from '../public/accept.js';

export const pemChainType = 'application/pem-certificate-chain';

const offers = ['application/json', pemChainType, 'application/x-pem-file'] as const;

/** JSON or PEM, by the Accept header. Throws RotundaError 'not-acceptable' when neither is wanted. */
export function negotiate(accept: string | undefined): 'json' | 'pem' {
  const type = preferredType(accept, offers);
  if (type !== undefined) return type === 'application/json' ? 'json' : 'pem';
  throw new RotundaError('not-acceptable', 'the answer can be JSON or PEM, and neither is accepted', {
    hint: `ask for application/json or ${pemChainType}`,
  });
}
