/**
 * What the five transports share: one attempt to follow the hub from one cursor.
 *
 * `open(cursor)` begins it, `close()` ends it at once and for good: no callback comes after. What was received and not
 * yet handed on is dropped with it, cursor and all, so that the next attempt gets it again.
 *
 * Callbacks: `event(object)`, `gap(object)`, `cursor(text)`, `alive()` when the server has answered, and
 * `ended({ retry, refused })` once, when this attempt is over and another has to be made.
 */
export class Transport {
  /** `at`: { panel, topics, pollEvery() }. */
  constructor(at, on) {
    this.at = at;
    this.on = on;
    this.cursor = null;
    this.closed = false;
    this.retry = null;
    this.quiet = null;
  }

  open(cursor) {
    this.cursor = cursor;
    this.begin();
  }

  close() {
    this.closed = true;
    clearTimeout(this.quiet);
    this.stop();
  }

  /** Over: tells why, unless it was us who closed. */
  end(more = {}) {
    if (this.closed) return;
    this.close();
    this.on.ended({ retry: this.retry, refused: null, ...more });
  }

  /** The address: topics, who asks, and from where. */
  url(parameters) {
    const query = new URLSearchParams();
    for (const topic of this.at.topics) query.append('topic', topic);
    query.set('panel', this.at.panel);
    for (const [name, value] of Object.entries(parameters)) query.set(name, value);
    if (this.cursor) query.set('cursor', this.cursor);
    return `/events?${query}`;
  }

  /** One object of the wire: an event, a gap in its place, or a word about the connection. */
  take(object) {
    if (this.closed) return;
    if ('tidings' in object) return this.heed(object);
    this.cursor = object.id;
    if ('gap' in object) this.on.gap(object);
    else this.on.event(object);
    if (!this.closed) this.on.cursor(this.cursor);
  }

  heed({ tidings, cursor, heartbeat_ms: heartbeat, retry_ms: retry }) {
    // The first cursor, and where a quiet stream has got to. A resume's hello tells nothing that was not asked for.
    if (cursor && (tidings === 'heartbeat' || !this.cursor)) this.on.cursor(this.cursor = cursor);
    if (heartbeat) this.silence = 2.5 * heartbeat;
    if (retry) this.retry = retry;
  }

  /** Something came. Where the server says how often it speaks, two and a half times that is too long a silence. */
  heard() {
    if (!this.silence) return;
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.end(), this.silence);
  }
}

/** A status that no retry will change. */
export const refused = (status) => [400, 401, 403, 404, 410].includes(status);
