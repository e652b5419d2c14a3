// Clients on Node: node clients.mjs ADDRESS CLIENT SCENARIO…
//
// A scenario `stop…` is the client with the check of docs/clients.md. Each reports what its application sees.

import * as reader from './node/reader.mjs';
import * as sse from './node/sse.mjs';
import * as websocket from './node/websocket.mjs';
import { aiGet, aiPost } from './node/ai.mjs';

const CLIENTS = {
  'npm-eventsource-2': sse.eventsource2,
  'npm-eventsource-4': sse.eventsource4,
  'npm-eventsource-5': sse.eventsource5,
  'eventsource-of-undici': sse.undici,
  'eventsource-of-node': sse.builtin,
  'npm-eventsource-client': sse.eventsourceClient,
  'ai-get': aiGet,
  'ai-post': aiPost,
  ws: websocket.ws,
  'fetch-ndjson': reader.ndjson,
  'curl-ndjson': reader.curl,
  'fetch-long-poll': reader.longPoll,
  'fetch-long-poll-without-a-pause': reader.longPollWithoutPause,
  'fetch-short-poll': reader.shortPoll,
};

const [address, client, ...scenarios] = process.argv.slice(2);
// The timers of undici's EventSource do not keep a process running.
setInterval(() => {}, 1000);
process.on('uncaughtException', (error) => console.error(error));
await Promise.all(scenarios.map(async (scenario) => {
  const path = `${scenario}/${client}`;
  let reported = Promise.resolve();
  /** Reports what the application sees, one report after another. */
  const see = (type, data = '') => {
    const body = JSON.stringify({ type, data });
    reported = reported.then(() => fetch(`${address}/seen/${path}`, { method: 'POST', body })).catch(console.error);
  };
  const query = scenario.endsWith('-off') ? '?controls=off' : '';
  try {
    await CLIENTS[client](`${address}/events/${path}${query}`, { stop: scenario.startsWith('stop'), see });
  } catch (error) {
    console.error(error);
    see('raised', String(error));
  }
}));
