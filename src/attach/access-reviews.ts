import type { AccessReviewer } from '../identity/access-reviewer.js';
import type { Attributes } from '../identity/types.js';
import type { ClusterClient } from './client.js';

type Review = { readonly status?: { readonly allowed?: boolean; readonly reason?: string } };

/** Asks the API server with a SubjectAccessReview. */
export function accessReviewer(client: () => ClusterClient | undefined): AccessReviewer {
  return {
    review: async ({ username, uid, groups, extra }, attributes) => {
      const found = client();
      if (found === undefined) return undefined;
      const review = await found.create<Review>('/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: { user: username, groups, extra, ...(uid === '' ? {} : { uid }), ...attributesOf(attributes) },
      });
      const { allowed = false, reason = '' } = review.status ?? {};
      return { allowed, reason };
    },
  };
}

function attributesOf(attributes: Attributes): object {
  if ('path' in attributes) return { nonResourceAttributes: { verb: attributes.verb, path: attributes.path } };
  return { resourceAttributes: { ...attributes, version: '*' } };
}
