/** The scenarios of each kind of client, see run.mjs. */
export const SCENARIOS = {
  sse: ['end', 'stop', 'end-off', 'greet', 'greet-off'],
  websocket: ['end', 'stop'],
  reader: ['end', 'stop'],
};

const sse = (host, names, end = 0) => names.map((name) => ({ name, host, kind: 'sse', goals: { end } }));
const websocket = (host, names) => names.map((name) => ({ name, host, kind: 'websocket' }));

const LIST = [
  ...sse('chromium', ['EventSource of Chromium']),
  ...sse('firefox', ['EventSource of Firefox']),
  ...sse('webkit', ['EventSource of WebKitGTK']),
  ...sse('node', [
    'npm eventsource 2', 'npm eventsource 4', 'npm eventsource 5', 'EventSource of undici', 'EventSource of Node',
  ]),
  ...sse('chromium', [
    'event-source-polyfill', 'reconnecting-eventsource', 'fetch-event-source', 'fetch-event-source, README recipe', 'htmx 2',
  ]),
  // Its longest pause is 60 s ± 30 %.
  ...sse('chromium', ['htmx 4'], 1),
  ...sse('chromium', ['Datastar']),
  ...sse('node', ['npm eventsource-client']),
  ...sse('python', ['httpx-sse loop', 'sseclient-py loop', 'requests-sse', 'aiohttp-sse-client']),
  ...sse('rust', ['reqwest-eventsource', 'rust eventsource-client']),
  ...['ai, GET', 'ai, POST'].map((name) => ({
    name, host: 'node', kind: 'sse', scenarios: ['end', 'end-off', 'greet-off'], goals: { end: 0, 'end-off': 0 },
  })),
  ...['fetch-event-source, POST', 'htmx 4, hx-post', 'Datastar, @post'].map((name) => ({
    name, host: 'chromium', kind: 'sse', scenarios: ['end', 'stop', 'greet'], goals: { end: 0 },
  })),
  ...websocket('chromium', ['WebSocket of Chromium']),
  ...websocket('firefox', ['WebSocket of Firefox']),
  ...websocket('webkit', ['WebSocket of WebKitGTK']),
  ...websocket('chromium', ['reconnecting-websocket', 'partysocket']),
  ...websocket('node', ['ws']),
  ...websocket('python', ['websockets (Python), one connection', 'websockets (Python), loop']),
  ...websocket('rust', ['tokio-tungstenite']),
  ...['fetch, NDJSON', 'fetch, long poll', 'fetch, long poll without a pause'].map((name) => ({ name, host: 'node', kind: 'reader' })),
  // The poll that gets the end is one after it.
  { name: 'fetch, short poll', host: 'node', kind: 'reader', goals: { stop: 1 } },
  { name: 'curl, NDJSON', host: 'node', kind: 'reader', scenarios: ['end'] },
];

/** All clients: `id` in addresses, `host` that runs it, `goals` with the most requests after the end. */
export const CLIENTS = LIST.map((client) => ({ ...client, id: client.name.toLowerCase().replace(/\W+/g, '-').replace(/-$/, '') }));
