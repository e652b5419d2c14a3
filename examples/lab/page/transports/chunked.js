import { Transport, refused } from './transport.js';

/** One response without an end: a JSON object on each line (NDJSON). An empty line is a keep-alive. */
export class Chunked extends Transport {
  static key = 'chunked';
  static label = 'Chunked stream';
  static short = 'Chunked';
  static how = 'One response that goes on, a line for each event.';

  begin() {
    this.abort = new AbortController();
    this.read();
  }

  stop() {
    this.abort.abort();
  }

  async read() {
    const { signal } = this.abort;
    try {
      const nonce = Math.random().toString(36).slice(2, 10);
      const response = await fetch(this.url({ transport: 'chunked', heartbeat: 'visible', nonce }), { cache: 'no-store', signal });
      if (!response.ok) {
        const after = Number(response.headers.get('Retry-After'));
        return this.end({ retry: after ? after * 1000 : null, refused: refused(response.status) ? response.status : null });
      }
      this.on.alive();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done || this.closed) break;
        this.heard();
        const lines = (rest + value).split('\n');
        rest = lines.pop();
        for (const line of lines) if (line) this.take(JSON.parse(line));
      }
    } catch {
      // The stream was cut within its last line, whose cursor was not taken.
    }
    this.end();
  }
}
