/** The scenarios of each kind of client, see run.mjs. */
export const SCENARIOS = {
  sse: ['end', 'stop', 'late', 'stop-late', 'end-off', 'greet', 'greet-off'],
  websocket: ['end', 'stop'],
  reader: ['end', 'stop', 'late', 'stop-late'],
};

/** By host: the names of clients of server-sent events, with the names of their versions. */
const SSE = [
  ['chromium', 'EventSource of Chromium', 'Chromium'],
  ['firefox', 'EventSource of Firefox', 'Firefox'],
  ['webkit', 'EventSource of WebKitGTK', 'WebKitGTK'],
  ['node', 'npm eventsource 2', 'eventsource2'],
  ['node', 'npm eventsource 4', 'eventsource4'],
  ['node', 'npm eventsource 5', 'eventsource5'],
  ['node', 'EventSource of undici', 'undici'],
  ['node', 'EventSource of Node', 'Node'],
  ['chromium', 'event-source-polyfill', 'event-source-polyfill'],
  ['chromium', 'reconnecting-eventsource', 'reconnecting-eventsource'],
  ['chromium', 'fetch-event-source', '@microsoft/fetch-event-source'],
  ['chromium', 'fetch-event-source, README recipe', '@microsoft/fetch-event-source'],
  ['chromium', 'fetch-event-source, POST', '@microsoft/fetch-event-source'],
  ['chromium', 'htmx 2', 'htmx2'],
  // Its longest pause is 60 s ± 30 %.
  ['chromium', 'htmx 4', 'htmx4', { goals: { end: 1 } }],
  // Without `hx-sse:connect` it does not reconnect.
  ['chromium', 'htmx 4, hx-post', 'htmx4', { returns: false }],
  ['chromium', 'Datastar', '@starfederation/datastar'],
  ['chromium', 'Datastar, @post', '@starfederation/datastar'],
  ['node', 'npm eventsource-client', 'eventsource-client'],
  ['python', 'httpx-sse loop', 'httpx-sse'],
  ['python', 'sseclient-py loop', 'sseclient-py'],
  ['python', 'requests-sse', 'requests-sse'],
  // It raises at a broken connection.
  ['python', 'aiohttp-sse-client', 'aiohttp-sse-client', { returns: false }],
  ['rust', 'reqwest-eventsource', 'rust reqwest-eventsource'],
  ['rust', 'rust eventsource-client', 'rust eventsource-client'],
  // It takes no control blocks, so there is nothing to write and no greeting to keep.
  ['node', 'ai, GET', 'ai', { scenarios: ['end', 'late', 'end-off'], goals: { end: 0, 'end-off': 0 } }],
  ['node', 'ai, POST', 'ai', { scenarios: ['end', 'late', 'end-off'], goals: { end: 0, 'end-off': 0 } }],
];

const WEBSOCKETS = [
  ['chromium', 'WebSocket of Chromium', 'Chromium'],
  ['firefox', 'WebSocket of Firefox', 'Firefox'],
  ['webkit', 'WebSocket of WebKitGTK', 'WebKitGTK'],
  ['chromium', 'reconnecting-websocket', 'reconnecting-websocket'],
  ['chromium', 'partysocket', 'partysocket'],
  ['node', 'ws', 'ws'],
  ['python', 'websockets (Python), one connection', 'websockets'],
  ['python', 'websockets (Python), loop', 'websockets'],
  ['rust', 'tokio-tungstenite', 'rust tokio-tungstenite'],
];

const READERS = [
  ['node', 'fetch, NDJSON', 'Node'],
  ['node', 'curl, NDJSON', 'curl', { scenarios: ['end'] }],
  ['node', 'fetch, long poll', 'Node'],
  ['node', 'fetch, long poll without a pause', 'Node'],
  // The poll that gets the end is one after it.
  ['node', 'fetch, short poll', 'Node', { goals: { stop: 1 } }],
];

const of = (kind, goals) => ([host, name, version, options = {}]) => ({
  id: name.toLowerCase().replace(/\W+/g, '-').replace(/-$/, ''),
  kind, host, name, version, returns: true, scenarios: SCENARIOS[kind],
  ...options,
  goals: { stop: 0, ...goals, ...options.goals },
});

/**
 * All clients: `id` in addresses, `host` that runs it, `goals` with the most requests after the end by scenario, `returns` after a
 * connection that was cut.
 */
export const CLIENTS = [
  ...SSE.map(of('sse', { end: 0 })),
  ...WEBSOCKETS.map(of('websocket')),
  ...READERS.map(of('reader')),
];
