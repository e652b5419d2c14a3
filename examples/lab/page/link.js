import { byKey } from './transports/index.js';
import { serverNow } from './clock.js';

/** Time after which a connection counts as established, so that its loss does not lengthen the next wait. */
const ESTABLISHED_MS = 5000;
const LEAST_WAIT_MS = 250;
const MOST_WAIT_MS = 10_000;

/**
 * Subscription of one panel: a cursor, the transport that follows from it now, and the reconnects.
 *
 * States: `connecting`, `open`, `waiting` (for the next try), `paused`, `hidden`, `refused`, `over` (all topics have ended,
 * so there is no next try). The cursor is kept in all of them. It moves only when the events before it have been delivered to
 * the panel.
 */
export class Link {
  constructor(at, on) {
    this.at = { ...at, added: [] };
    /** Topics that the server sends. */
    this.follows = at.topics;
    /** Topics that were followed when the last topic was added, and the cursor up to which they were received. */
    this.had = { topics: [], cursor: '' };
    this.on = on;
    this.cursor = null;
    this.key = null;
    this.state = 'paused';
    this.tries = 0;
    /** Topics that have ended, with the reasons. */
    this.over = new Map();
    // Events published before this moment came by replay. Infinite while nothing is open.
    this.liveFrom = Infinity;
  }

  start(key) {
    this.key = key;
    this.#open();
  }

  /** Changes the transport and keeps the cursor. */
  move(key) {
    this.#halt();
    this.key = key;
    this.tries = 0;
    this.#open();
  }

  /** Changes the topics: over an open WebSocket, else by a new request with the cursor. */
  follow(topics) {
    this.at.added = topics.filter((topic) => !this.follows.includes(topic));
    if (this.at.added.length) this.had = { topics: this.follows, cursor: this.cursor ?? '' };
    this.at.topics = topics;
    if (this.state === 'open' && this.transport.follow?.(topics)) return;
    if (!['open', 'connecting', 'waiting'].includes(this.state)) return;
    this.#halt();
    this.#open();
  }

  pause(ms) {
    this.#halt();
    this.#become('paused', performance.now() + ms);
    this.timer = setTimeout(() => this.#open(), ms);
  }

  hide() {
    this.#halt();
    this.#become('hidden');
  }

  show() {
    if (this.state === 'hidden') this.#open();
  }

  /** Follows the topics again, after a new hub has begun them again. */
  revive() {
    this.over.clear();
    if (this.state === 'over') this.#open();
  }

  /** Sends a message over this link's connection, if its transport can. */
  send(text) {
    return this.state === 'open' && this.transport.send ? this.transport.send(text) : false;
  }

  #open() {
    this.#become('connecting');
    const transport = new (byKey(this.key))(this.at, {
      event: (object) => this.#has(object) || this.on.event(object, object.data?.t < this.liveFrom),
      gap: (object) => this.on.gap(object),
      topicEnd: ({ topic, reason }) => topic && this.over.set(topic, reason),
      cursor: (cursor) => (this.cursor = cursor),
      follows: (topics) => this.#following(topics),
      alive: () => this.#alive(),
      // The EventSource reconnects by itself.
      away: () => this.#become('waiting'),
      ended: (how) => this.#ended(how),
    });
    this.transport = transport;
    transport.open(this.cursor);
  }

  /**
   * Returns whether an event was received before a topic was added. The state of an added topic has earlier ids than the
   * cursor, so polls begin there, and other topics send their events again. Cursors of one epoch compare as text.
   */
  #has({ id, topic }) {
    const { topics, cursor } = this.had;
    return topics.includes(topic) && id.split('.')[0] === cursor.split('.')[0] && id <= cursor;
  }

  /** Takes the topics that the server sends from now on. */
  #following(topics) {
    for (const topic of this.follows) if (!topics.includes(topic)) this.on.left(topic);
    this.follows = topics;
    this.at.added = [];
  }

  #halt() {
    clearTimeout(this.timer);
    this.transport?.close();
    this.transport = null;
  }

  #alive() {
    if (this.state === 'open') return;
    this.#following(this.at.topics);
    this.liveFrom = this.cursor === null ? -Infinity : serverNow();
    this.openedAt = performance.now();
    this.#become('open');
  }

  #ended({ retry, refused }) {
    const lasted = this.state === 'open' ? performance.now() - this.openedAt : 0;
    if (refused) return this.#become('refused');
    if (this.at.topics.every((topic) => this.over.has(topic))) return this.#become('over');
    this.tries = lasted > ESTABLISHED_MS ? 0 : this.tries + 1;
    // The server's retry time has a jitter. Without one the wait doubles, with a jitter of its own.
    const wait = retry ?? Math.min(MOST_WAIT_MS, 500 * 2 ** this.tries) * (0.5 + Math.random() / 2);
    const ms = Math.max(LEAST_WAIT_MS, wait);
    this.#become('waiting', performance.now() + ms);
    this.timer = setTimeout(() => this.#open(), ms);
  }

  #become(state, until = null) {
    this.state = state;
    this.until = until;
    if (state !== 'open') this.liveFrom = Infinity;
    this.on.state(state);
  }
}
