import { Transport } from './transport.js';

/**
 * The browser's EventSource, which reconnects by itself after a cut, with the id of its last event. It gives up after any
 * status but 200; then the link creates another one.
 */
export class Sse extends Transport {
  static key = 'sse';
  static label = 'Server-sent events';
  static short = 'SSE';
  static how = 'The browser’s EventSource, one response that goes on.';

  begin() {
    const nonce = Math.random().toString(36).slice(2, 10);
    const source = new EventSource(this.url({ transport: 'sse', format: 'object', heartbeat: 'visible', nonce }));
    const object = (message) => {
      this.heard();
      this.take(JSON.parse(message.data));
    };
    source.onopen = () => this.on.alive();
    source.onmessage = object;
    for (const name of ['hello', 'heartbeat', 'gap', 'topic_end']) source.addEventListener(`tidings.${name}`, object);
    // All topics have ended. Without the close the EventSource would wait for a day, and then get a 204.
    source.addEventListener('tidings.end', (message) => {
      object(message);
      this.end();
    });
    source.addEventListener('tidings.retry', ({ data }) => (this.retry = JSON.parse(data).retry_ms));
    source.onerror = () => {
      if (this.closed) return;
      if (source.readyState === EventSource.CLOSED) this.end();
      else this.on.away();
    };
    this.source = source;
  }

  stop() {
    this.source?.close();
  }
}
