/**
 * Common part of the five transports: one attempt to follow the hub from one cursor.
 *
 * `open(cursor)` begins it. `close()` ends it, and no callback follows. Events that were received and not yet delivered are
 * dropped with their cursor, so that the next attempt gets them again.
 *
 * Callbacks: `event(object)` for an event or a removal, `gap(object)`, `topicEnd({ topic, reason })` without members if all topics had ended before,
 * `cursor(text)`, `alive()` when the server has answered, and `ended({ retry, refused })` once, when this attempt has ended.
 */
export class Transport {
  /** `at`: { panel, topics, added, pollEvery() }. `added`: topics that the panel did not follow up to its cursor. */
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

  /** Ends the attempt. Calls back with the reason, unless it was closed by `close()`. */
  end(more = {}) {
    if (this.closed) return;
    this.close();
    this.on.ended({ retry: this.retry, refused: null, ...more });
  }

  /** Returns the URL: topics, panel and cursor. */
  url(parameters) {
    const query = new URLSearchParams();
    for (const topic of this.at.topics) query.append('topic', topic);
    if (this.at.added.length && this.cursor) query.set('added', this.at.added);
    query.set('panel', this.at.panel);
    for (const [name, value] of Object.entries(parameters)) query.set(name, value);
    if (this.cursor) query.set('cursor', this.cursor);
    return `/events?${query}`;
  }

  /** Takes one object: an event, a gap, the end of a topic, or a control object. */
  take(object) {
    if (this.closed) return;
    if ('tidings' in object) return this.heed(object);
    this.cursor = object.id;
    if ('gap' in object) this.on.gap(object);
    else if ('end' in object) this.on.topicEnd(object.end);
    else if ('data' in object || 'removed' in object) this.on.event(object);
    if (!this.closed) this.on.cursor(this.cursor);
  }

  heed({ tidings, cursor, heartbeat_ms: heartbeat, retry_ms: retry }) {
    // The first cursor, and the position of a quiet stream. The hello of a resume repeats the requested cursor.
    if (cursor && (tidings === 'heartbeat' || !this.cursor)) this.on.cursor(this.cursor = cursor);
    if (heartbeat) this.silence = 2.5 * heartbeat;
    if (retry) this.retry = retry;
  }

  /** Restarts the timeout after each received byte. It is two and a half times the server's heartbeat, if there is one. */
  heard() {
    if (!this.silence) return;
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.end(), this.silence);
  }
}

/** Returns whether a status is final, so that a retry does not help. */
export const refused = (status) => [400, 401, 403, 404, 410].includes(status);
