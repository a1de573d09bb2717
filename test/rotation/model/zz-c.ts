import { explore } from './explore.js';
import { variants } from './variants.js';
for (const v of [variants[0], variants[9], variants[12]]) { const c = process.cpuUsage(); const r = explore(v!); const u = process.cpuUsage(c); console.log(r.states, r.steps, Math.round(r.milliseconds), Math.round(u.user / 1000), (u.user / r.steps).toFixed(2) + 'us/step'); }
