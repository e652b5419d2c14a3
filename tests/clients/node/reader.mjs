import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

/** Requests after which a loop is ended. */
const MAX_REQUESTS = 200;

/** A loop that resumes 1 s after the end of a body. With `stop` it ends after an `end` on a body that ended cleanly. */
export async function ndjson(url, { stop, see }) {
  let cursor = null;
  for (let requests = 0; requests < MAX_REQUESTS; requests++) {
    const query = cursor === null ? '' : `?cursor=${cursor}`;
    const response = await fetch(url + query, { headers: { accept: 'application/x-ndjson' } });
    see('status', response.status);
    let ended = false;
    try {
      for await (const line of lines(response.body)) {
        see('line', line);
        const object = JSON.parse(line);
        cursor = object.id ?? cursor;
        ended = 'end' in object;
      }
      see('end of the body');
      // The last line of a body is the end of the last topic, if all topics have ended.
      if (stop && ended) return see('returned');
    } catch (error) {
      see('error', String(error));
    }
    await pause(1000);
  }
}

async function* lines(body) {
  let rest = '';
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split('\n');
    rest = parts.pop();
    yield* parts.filter(Boolean);
  }
}

/** One request of curl, whose exit status tells a clean end from an abort. */
export async function curl(url, { see }) {
  const child = spawn('curl', ['-sN', '-H', 'accept: application/x-ndjson', url], { stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout }).on('line', (line) => see('line', line));
  const [status] = await once(child, 'close');
  see('exit status', status);
}

export const longPoll = (url, options) => poll(url, { prefer: 'wait=20' }, options);
export const longPollWithoutPause = (url, options) => poll(url, { prefer: 'wait=20' }, { ...options, pauses: false });
export const shortPoll = (url, options) => poll(url, { prefer: 'wait=0' }, options);

/** A loop that waits for `Tidings-Retry-Ms` between polls. With `stop` it ends after `"end":true`. */
async function poll(url, headers, { stop, see, pauses = true }) {
  let cursor = null;
  for (let requests = 0; requests < MAX_REQUESTS; requests++) {
    const query = cursor === null ? '' : `?cursor=${cursor}`;
    const response = await fetch(url + query, { headers: { accept: 'application/json', ...headers } });
    const reply = await response.json();
    const retry = response.headers.get('tidings-retry-ms');
    see(`reply, retry ${retry}`, JSON.stringify(reply));
    cursor = reply.cursor ?? cursor;
    if (stop && reply.end) return see('returned');
    if (pauses && retry !== null) await pause(Number(retry));
  }
  see('still polling', MAX_REQUESTS);
}
