// Runs one client: /page/SCENARIO/CLIENT. /page/frames/CLIENT?end&stop… has a frame for each of these scenarios.
//
// A scenario `stop…` is the client with the check of docs/clients.md. Each reports what its application sees.

import * as sse from './sse.js';
import * as websocket from './websocket.js';

const CLIENTS = {
  'eventsource-of-chromium': sse.eventSource,
  'eventsource-of-firefox': sse.eventSource,
  'eventsource-of-webkitgtk': sse.eventSource,
  'event-source-polyfill': sse.polyfill,
  'reconnecting-eventsource': sse.reconnectingEventSource,
  'fetch-event-source': sse.fetchEventSource,
  'fetch-event-source-readme-recipe': sse.fetchEventSourceRecipe,
  'fetch-event-source-post': sse.fetchEventSourcePost,
  'htmx-2': sse.htmx2,
  'htmx-4': sse.htmx4,
  'htmx-4-hx-post': sse.htmx4Post,
  datastar: sse.datastar,
  'datastar-post': sse.datastarPost,
  'websocket-of-chromium': websocket.webSocket,
  'websocket-of-firefox': websocket.webSocket,
  'websocket-of-webkitgtk': websocket.webSocket,
  'reconnecting-websocket': websocket.reconnectingWebSocket,
  partysocket: websocket.partySocket,
};

let reported = Promise.resolve();
const [, , scenario, client] = location.pathname.split('/');
if (scenario === 'frames') {
  for (const name of location.search.slice(1).split('&')) {
    const frame = document.body.appendChild(document.createElement('iframe'));
    frame.src = `/page/${name}/${client}`;
  }
} else {
  const run = CLIENTS[client];
  const query = scenario.endsWith('-off') ? '?controls=off' : '';
  addEventListener('error', ({ message }) => see('page error', message));
  addEventListener('unhandledrejection', ({ reason }) => see('page error', String(reason)));
  await run(`/events/${scenario}/${client}${query}`, { stop: scenario.startsWith('stop'), see });
}

/** Reports what the application sees, one report after another. */
function see(type, data = '') {
  const body = JSON.stringify({ type, data });
  reported = reported.then(() => fetch(`/seen/${scenario}/${client}`, { method: 'POST', body })).catch(console.error);
}
