const MODULES = '/files/node_modules';

export function eventSource(url, { stop, see }) {
  const source = new EventSource(url);
  source.onmessage = ({ data }) => see('message', data);
  source.onerror = () => see('error', `readyState ${source.readyState}`);
  if (stop) {
    source.addEventListener('tidings.end', () => {
      source.close();
      see('closed');
    });
  }
}

export async function polyfill(url, { stop, see }) {
  await script('event-source-polyfill/src/eventsource.js');
  const source = new EventSourcePolyfill(url);
  source.onmessage = ({ data }) => see('message', data);
  source.onerror = () => see('error', `readyState ${source.readyState}`);
  if (stop) {
    source.addEventListener('tidings.end', () => {
      source.close();
      see('closed');
    });
  }
}

export async function reconnectingEventSource(url, { stop, see }) {
  await script('reconnecting-eventsource/dist/ReconnectingEventSource.min.js');
  const source = new ReconnectingEventSource(url);
  source.onmessage = ({ data }) => see('message', data);
  source.onerror = () => see('error', `readyState ${source.readyState}`);
  if (stop) {
    source.addEventListener('tidings.end', () => {
      source.close();
      see('closed');
    });
  }
}

export const fetchEventSourcePost = (url, options) => fetchEventSource(url, options, { method: 'POST', body: '{}' });

export async function fetchEventSource(url, { stop, see }, request = {}) {
  const { fetchEventSource } = await import(`${MODULES}/@microsoft/fetch-event-source/lib/esm/index.js`);
  const ended = new AbortController();
  await fetchEventSource(url, {
    ...request,
    signal: ended.signal,
    ...(stop && {
      async onopen({ status }) {
        if (status === 204) ended.abort();
      },
    }),
    onmessage({ event, data }) {
      if (stop && event === 'tidings.end') return ended.abort();
      if (stop && event.startsWith('tidings.')) return;
      see(event || 'message', data);
    },
  });
  see('returned');
}

/** The recipe of the README, which retries after every close. */
export async function fetchEventSourceRecipe(url, { stop, see }) {
  const { EventStreamContentType, fetchEventSource } =
    await import(`${MODULES}/@microsoft/fetch-event-source/lib/esm/index.js`);
  class RetriableError extends Error {}
  class FatalError extends Error {}
  const ended = new AbortController();
  await fetchEventSource(url, {
    signal: ended.signal,
    async onopen(response) {
      if (stop && response.status === 204) return ended.abort();
      if (response.ok && response.headers.get('content-type') === EventStreamContentType) return;
      if (response.status >= 400 && response.status < 500 && response.status !== 429) throw new FatalError();
      throw new RetriableError();
    },
    onmessage({ event, data }) {
      see(event || 'message', data);
      if (stop && event === 'tidings.end') ended.abort();
    },
    onclose() {
      see('close');
      throw new RetriableError();
    },
    onerror(error) {
      see('error', String(error));
      if (error instanceof FatalError) throw error;
    },
  });
  see('returned');
}

export async function htmx2(url, { stop, see }) {
  await script('htmx2/dist/htmx.js');
  await script('htmx-ext-sse/sse.js');
  document.body.addEventListener('htmx:sseMessage', ({ detail }) => see(detail.type, detail.data));
  document.body.addEventListener('htmx:sseError', ({ detail }) => see('error', `readyState ${detail.source.readyState}`));
  document.body.addEventListener('htmx:sseClose', ({ detail }) => see('closed', detail.type));
  element(`<div hx-ext="sse" sse-connect="${url}" sse-swap="message" ${stop ? 'sse-close="tidings.end"' : ''}></div>`);
}

export const htmx4Post = (url, options) => htmx4(url, options, `hx-post="${url}" hx-trigger="load"`);

export async function htmx4(url, { stop, see }, attributes = `hx-sse:connect="${url}"`) {
  await script('htmx4/dist/htmx.js');
  await script('htmx4/dist/ext/hx-sse.js');
  document.body.addEventListener('htmx:sse:after:message', ({ detail: { message } }) =>
    see(message.event || 'message', message.data));
  document.body.addEventListener('htmx:sse:error', ({ detail }) => see('error', String(detail.error)));
  document.body.addEventListener('htmx:sse:close', ({ detail }) => see('closed', detail.reason));
  if (stop) {
    document.body.addEventListener('htmx:sse:before:connection', (event) => {
      if (event.detail.connection.status === 204) event.preventDefault();
    });
  }
  element(`<div ${attributes} ${stop ? 'hx-sse:close="tidings.end"' : ''}></div>`);
}

export const datastarPost = (url, options) => datastar(url, options, 'post');

export async function datastar(url, { see }, action = 'get') {
  document.addEventListener('datastar-sse', ({ detail }) => see(detail.type, detail.argsRaw));
  const ask = url.includes('?') ? '&' : '?';
  const load = `@${action}('${url}${ask}events=fragments')`;
  document.body.insertAdjacentHTML('beforeend', `<div id="seen"></div><div data-on-load="${load}"></div>`);
  await import(`${MODULES}/@starfederation/datastar/dist/datastar.js`);
}

/** Adds an element and has htmx process it. */
function element(html) {
  document.body.insertAdjacentHTML('beforeend', html);
  htmx.process(document.body.lastElementChild);
}

function script(path) {
  const tag = document.createElement('script');
  tag.src = `${MODULES}/${path}`;
  return new Promise((resolve, reject) => {
    tag.onload = resolve;
    tag.onerror = () => reject(new Error(`cannot load ${path}`));
    document.head.append(tag);
  });
}
