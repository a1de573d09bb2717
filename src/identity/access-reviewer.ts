import type { AccessVerdict, Attributes, Identity } from './types.js';

/** Whom a review is about, as the API server named it. */
export type ReviewedUser = Pick<Identity, 'username' | 'uid' | 'groups' | 'extra'>;

/**
 * Asks the API server behind which this service stands what a user of its own may do, with a SubjectAccessReview. Only
 * the API server knows its RBAC.
 */
export type AccessReviewer = {
  /** Undefined where there is no API server to ask. Throws RotundaError 'unavailable' when it cannot be asked now. */
  review(user: ReviewedUser, attributes: Attributes): Promise<AccessVerdict | undefined>;
};

/** Where no credential for an API server is stored. */
export const noAccessReviewer: AccessReviewer = Object.freeze({ review: () => Promise.resolve(undefined) });
