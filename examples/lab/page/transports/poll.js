import { Transport, refused } from './transport.js';

/** Common part of short and long polls: request, reply, next request. */
class Poll extends Transport {
  begin() {
    this.abort = new AbortController();
    this.loop();
  }

  stop() {
    this.abort.abort();
    clearTimeout(this.timer);
  }

  async loop() {
    const { signal } = this.abort;
    while (!this.closed) {
      let reply, response;
      const asked = performance.now();
      // After a cut no reply comes: a poll that waits longer than this has failed.
      const patience = setTimeout(() => this.abort.abort(), this.patience);
      try {
        // Chromium sends equal GETs one after another, so each has a nonce.
        const nonce = Math.random().toString(36).slice(2, 10);
        response = await fetch(this.url({ ...this.asks, nonce }), { cache: 'no-store', signal });
        if (!response.ok) {
          const after = Number(response.headers.get('Retry-After'));
          return this.end({ retry: after ? after * 1000 : null, refused: refused(response.status) ? response.status : null });
        }
        reply = await response.json();
      } catch {
        return this.end();
      } finally {
        clearTimeout(patience);
      }
      if (this.closed) return;
      this.on.alive();
      for (const object of reply.events) this.take(object);
      if (!this.closed && reply.cursor) this.on.cursor(this.cursor = reply.cursor);
      // All topics have ended: a further poll would bring nothing.
      if (reply.end) return this.end();
      if (!reply.more) await this.rest(asked, Number(response.headers.get('Tidings-Retry-Ms')));
    }
  }

  nap(ms) {
    return new Promise((done) => (this.timer = setTimeout(done, ms)));
  }
}

export class ShortPoll extends Poll {
  static key = 'short-poll';
  static label = 'Short poll';
  static short = 'Short poll';
  static how = 'Asks at every interval, is answered at once.';
  asks = { transport: 'short-poll' };
  patience = 10_000;

  /** Waits in short steps, so that a shorter interval takes effect at once. */
  async rest(asked) {
    for (let left; (left = asked + this.at.pollEvery() - performance.now()) > 0 && !this.closed; ) {
      await this.nap(Math.min(left, 250));
    }
  }
}

export class LongPoll extends Poll {
  static key = 'long-poll';
  static label = 'Long poll';
  static short = 'Long poll';
  static how = 'Asks, and is answered when there is something.';
  asks = { transport: 'long-poll', wait: '25' };
  patience = 40_000;

  /** Polls again at once, unless the server sends a retry time since it or its hub shuts down. */
  async rest(_, told) {
    if (told) await this.nap(told);
  }
}
