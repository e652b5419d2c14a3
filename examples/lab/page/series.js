import { TRANSPORTS } from './transports/index.js';
import { Delays } from './tally.js';

export const SECONDS = 60;
export const REQUEST_SECONDS = 120;
const PACE_TICKS = 5;
const MOST_POINTS = 900;

/** Bins of the distribution: twelve for each power of ten, from 0.1 ms to 100 s. */
export const FLOOR_MS = 0.1;
const PER_DECADE = 12;
const BINS = 6 * PER_DECADE;

/**
 * Data of the plots, per transport rather than per panel: events and costs of a panel count for its transport at that
 * moment.
 */
export class Series {
  constructor() {
    this.delays = TRANSPORTS.map(() => new Delays(16_384));
    this.started = performance.now();
    this.seen = new Map();
    this.sums = TRANSPORTS.map(() => ({ requests: 0, bytes: 0 }));
    this.bytes = [[], ...TRANSPORTS.map(() => [])];
    this.pace = [[], ...TRANSPORTS.map(() => [])];
    this.recent = [];
  }

  delayed(transport, at, late) {
    this.delays[transport].add(at, Math.max(FLOOR_MS, late));
  }

  /** Takes the server's counters, once a second. `panels`: { id, transport (its index), counters }. */
  counted(panels) {
    const present = new Set();
    for (const { id, transport, counters } of panels) {
      const before = this.seen.get(id) ?? { requests: 0, up: 0, down: 0 };
      const more = (name) => Math.max(0, counters[name] - before[name]);
      this.sums[transport].requests += more('requests');
      this.sums[transport].bytes += more('up') + more('down');
      this.seen.set(id, { ...counters });
      present.add(transport);
    }
    const now = (performance.now() - this.started) / 1000;
    this.recent.push({ now, requests: this.sums.map(({ requests }) => requests) });
    if (this.recent.length > PACE_TICKS + 1) this.recent.shift();
    const past = this.recent[0];
    this.bytes[0].push(now);
    this.pace[0].push(now);
    this.sums.forEach((sum, i) => {
      const there = present.has(i);
      this.bytes[i + 1].push(sum.bytes);
      const pace = now > past.now ? ((sum.requests - past.requests[i]) * 60) / (now - past.now) : null;
      this.pace[i + 1].push(there ? pace : null);
    });
    while (this.pace[0][0] < now - REQUEST_SECONDS) this.pace.forEach((column) => column.shift());
    // In a long session every other point is removed, which keeps the shape.
    if (this.bytes[0].length > MOST_POINTS) this.bytes = this.bytes.map((column) => column.filter((_, i) => i % 2 === 0));
  }

  /** Returns the median of each second, aligned: x is the negative age in seconds. */
  medians(now) {
    const lists = TRANSPORTS.map(() => Array.from({ length: SECONDS + 1 }, () => []));
    const edge = Math.floor(now / 1000);
    this.delays.forEach((delays, i) => delays.since(now - SECONDS * 1000, (at, ms) => {
      lists[i][SECONDS - (edge - Math.floor(at / 1000))]?.push(ms);
    }));
    const middle = (list) => (list.length ? list.sort((a, b) => a - b)[list.length >> 1] : null);
    const ages = Array.from({ length: SECONDS + 1 }, (_, i) => edge - SECONDS + i + 0.5 - now / 1000);
    // The current second has too few events for a median.
    return [ages.slice(0, -1), ...lists.map((seconds) => seconds.slice(0, -1).map(middle))];
  }

  /** Returns the distribution of the last minute: bin centres in ms, and each transport's shares relative to its highest. */
  spread(now) {
    const centres = Array.from({ length: BINS }, (_, i) => FLOOR_MS * 10 ** ((i + 0.5) / PER_DECADE));
    const rows = this.delays.map((delays) => {
      const bins = new Float64Array(BINS);
      delays.since(now - SECONDS * 1000, (_, ms) => {
        bins[Math.min(BINS - 1, Math.max(0, Math.floor(Math.log10(ms / FLOOR_MS) * PER_DECADE)))]++;
      });
      const most = Math.max(...bins);
      return most ? Array.from(bins, (bin) => bin / most) : null;
    });
    return [centres, rows];
  }
}
