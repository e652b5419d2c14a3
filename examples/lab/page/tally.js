/** States of one number of a topic. */
export const UNKNOWN = 0, LIVE = 1, REPLAYED = 2;

const KEPT = 8192;

/**
 * Counts of one topic. Every event has a dense number, so that missing and repeated events are counted exactly.
 */
export class Track {
  constructor() {
    /** Number of times that the numbers began again. */
    this.renumbered = 0;
    this.#begin();
  }

  #begin() {
    this.first = this.last = null;
    this.unique = 0;
    this.lastTime = -Infinity;
    this.marks = new Uint8Array(KEPT);
  }

  /** Takes number `n`, published at `t`. Returns `new`, `late` (after a later number) or `twice`. */
  take(n, t, replayed) {
    let skipped = 0;
    // A lower number with a later time: the server was restarted.
    if (this.last !== null && n <= this.last && t > this.lastTime + 1) {
      this.renumbered++;
      this.#begin();
    }
    if (this.last === null) this.first = n;
    else if (n <= this.last) {
      if (n <= this.last - KEPT || this.marks[n % KEPT]) return { was: 'twice', skipped };
      this.marks[n % KEPT] = REPLAYED;
      this.unique++;
      return { was: 'late', skipped };
    } else {
      skipped = n - this.last - 1;
      const from = Math.max(this.last + 1, n - KEPT + 1);
      for (let i = from; i < n; i++) this.marks[i % KEPT] = UNKNOWN;
    }
    this.last = n;
    this.lastTime = t;
    this.unique++;
    this.marks[n % KEPT] = replayed ? REPLAYED : LIVE;
    return { was: 'new', skipped };
  }

  /** Returns the number of missing events before the last one. */
  get missed() {
    return this.last === null ? 0 : this.last - this.first + 1 - this.unique;
  }

  /** Returns the state of number `n`. */
  mark(n) {
    return this.last === null || n < this.first || n > this.last || n <= this.last - KEPT ? UNKNOWN : this.marks[n % KEPT];
  }
}

/** All topics of one panel. */
export class Tally {
  constructor() {
    this.tracks = new Map();
    this.events = this.duplicates = this.told = this.gapCount = 0;
    this.gaps = [];
    this.announced = new Map();
  }

  track(topic) {
    let track = this.tracks.get(topic);
    if (!track) this.tracks.set(topic, (track = new Track()));
    return track;
  }

  take(topic, n, t, replayed) {
    this.events++;
    const { was, skipped } = this.track(topic).take(n, t, replayed);
    if (was === 'twice') this.duplicates++;
    if (skipped && this.announced.get(topic)) this.told += skipped;
    this.announced.delete(topic);
    return was;
  }

  /** Forgets the numbers of a topic that is not followed any more. */
  drop(topic) {
    this.tracks.delete(topic);
  }

  /** Counts an event or a removal of a topic without numbers. */
  count() {
    this.events++;
  }

  /** Takes a gap of one topic, or of all: it announces the missing events before the next one. */
  gap({ reason, missed, topic }, at) {
    this.gapCount++;
    this.gaps.push({ reason, missed, topic: topic ?? null, at });
    if (this.gaps.length > 500) this.gaps.shift();
    for (const name of topic ? [topic] : this.tracks.keys()) this.announced.set(name, true);
  }

  /** Returns how many times the numbers of a topic began again. */
  get renumbered() {
    let renumbered = 0;
    for (const track of this.tracks.values()) renumbered += track.renumbered;
    return renumbered;
  }

  get missed() {
    let missed = 0;
    for (const track of this.tracks.values()) missed += track.missed;
    return missed;
  }
}

/** The latest delays, each with the time of its measurement. */
export class Delays {
  constructor(size = 8192) {
    this.size = size;
    this.at = new Float64Array(size);
    this.ms = new Float32Array(size);
    this.count = 0;
  }

  add(at, ms) {
    const i = this.count++ % this.size;
    this.at[i] = at;
    this.ms[i] = ms;
  }

  /** Calls `each(at, ms)` for the delays since `from`, newest first. */
  since(from, each) {
    for (let i = this.count - 1; i >= Math.max(0, this.count - this.size); i--) {
      if (this.at[i % this.size] < from) return;
      each(this.at[i % this.size], this.ms[i % this.size]);
    }
  }

  /** Returns these quantiles of the delays since `from`, or null without delays. */
  quantiles(from, ...shares) {
    const sorted = [];
    this.since(from, (_, ms) => sorted.push(ms));
    if (!sorted.length) return null;
    const ordered = Float32Array.from(sorted).sort();
    return shares.map((share) => ordered[Math.min(ordered.length - 1, Math.floor(share * ordered.length))]);
  }
}
