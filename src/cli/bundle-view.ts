import type { BundleView } from '../api/rest/bundles.js';
import type { View } from './output.js';

export const bundleView: View<BundleView> = {
  kind: 'bundle',
  name: (bundle) => `${bundle.ring}/${bundle.generation}`,
  columns: [
    { title: 'RING', value: (bundle) => bundle.ring },
    { title: 'GENERATION', value: (bundle) => String(bundle.generation) },
    { title: 'ANCHORS', value: (bundle) => String(bundle.anchors.length) },
    { title: 'DIGEST', value: (bundle) => bundle.digest },
    { title: 'SIGNED BY', wide: true, value: (bundle) => bundle.manifest?.signedBy },
  ],
};
