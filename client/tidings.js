// Client of a tidings endpoint, for browsers, workers and Node. The protocol is docs/wire.md of the repository.
// License: MIT or Apache-2.0.

const TRANSPORTS = ['websocket', 'sse', 'chunked', 'long-poll', 'short-poll'];
/** First and last time for which a transport that failed is left out, in ms. It doubles with each failure. */
const DEMOTION = 30_000;
const MAX_DEMOTION = 600_000;
/** Longest delay that a timer can have, and is useful: a day, in ms. */
const DAY = 86_400_000;
const STORE = 'tidings';

const now = () => Date.now();
const fail = (message, fields) => Object.assign(new Error(message), fields);
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
const value = (option) => (typeof option === 'function' ? option() : option);

/**
 * Returns whether an id is after another one. Ids of one epoch compare as text. A tag has no order. Ids of another epoch, and
 * those of epoch 0, which a snapshot has, are always after.
 */
const isAfter = (id, other) => {
  const [epoch, sequence] = id.split('.');
  const [otherEpoch, otherSequence] = other.split('.');
  return epoch !== otherEpoch || epoch === '0' || (id !== other && sequence >= otherSequence);
};

/** Decodes a binary payload. */
const decode = (object) => {
  if (object.encoding === 'base64') object.data = Uint8Array.from(atob(object.data), (char) => char.charCodeAt());
  return object;
};

/** Reads the demotions of this tab: by transport, the time of its end and its length, in ms. */
const load = () => {
  try {
    return JSON.parse(sessionStorage[STORE]);
  } catch {
    return {};
  }
};

/** Connects to an endpoint, and reconnects until `close()` or the end of all topics. See tidings.d.ts for the options. */
export function connect(url, options = {}) {
  const {
    headers,
    transports = headers ? TRANSPORTS.slice(1) : TRANSPORTS,
    minDelay = 250,
    maxDelay = 30_000,
    slowAfter = 5_000,
    stableAfter = 5_000,
    wait = 20,
    pauseHiddenAfter,
    credentials,
  } = options;
  const session = Math.random().toString(36).slice(2);

  // The position at which a new connection resumes, and the greatest id that was delivered.
  let cursor = options.cursor ?? null;
  let delivered = cursor;
  /** Topics whose state arrives, with ids below `delivered`: by topic, the last id. */
  const fresh = new Map();
  const ended = new Set();
  let topics = options.topics;
  /** The change of topics that is not confirmed. */
  let change;

  /** Connections that are open or opening. The live one has had its first frame, and is the only one that delivers. */
  const links = new Set();
  let live;
  let state = 'connecting';
  /** Reasons for which there is no connection. */
  const pauses = new Set();

  // `failures` counts attempts without a stable connection; `earlyEnds`, by transport, those that lasted for less than `stableAfter`.
  let failures = 0;
  let earlyEnds = {};
  /** Transports that failed since the last stable connection, those that the endpoint does not offer, and see `load`. */
  const passed = new Set();
  const refused = new Set();
  const demoted = load();
  let delay = options.delay ?? 1_000;
  let retryTimer, stableTimer, probeTimer, hiddenTimer;
  let isAnnounced, isRenewed;

  const emit = (name, argument) => {
    try {
      options[`on${name}`]?.(argument);
    } catch (error) {
      setTimeout(() => { throw error; });
    }
  };

  function setState(next, fields) {
    state = next;
    emit('state', { state, transport: live?.name, ...fields });
  }

  // ---- Requests

  /** Returns the URL of a transport, or of a message if there is none. */
  async function address(link = {}) {
    const { name } = link;
    const target = new URL(await value(url), globalThis.document?.baseURI ?? globalThis.location?.href);
    const query = target.searchParams;
    link.topics = (name !== 'websocket' && change?.next) || topics;
    link.topics?.forEach((topic) => query.append('topic', topic));
    if (!query.has('session')) query.set('session', session);
    if (!name) return target;
    query.set('transport', name);
    if (cursor) query.set('cursor', cursor);
    if (name === 'websocket') target.protocol = target.protocol.replace('http', 'ws');
    // The first poll shows that polls work, so it is answered at once.
    else if (name === 'long-poll') query.set('wait', link === live ? wait : 0);
    else {
      query.set('format', 'object');
      query.set('heartbeat', 'visible');
    }
    return target;
  }

  async function request(target, init) {
    const head = new Headers(await value(headers));
    if (init.type) head.set('content-type', init.type);
    const response = await fetch(target, { cache: 'no-store', credentials, ...init, headers: head });
    if (response.ok) return response;
    const { status } = response;
    const text = (await response.json().catch(() => 0)).error;
    const after = response.headers.get('tidings-retry-ms') ?? response.headers.get('retry-after') * 1_000;
    throw fail(text ?? `status ${status}`, { status, retry: +after || undefined });
  }

  // ---- Transports: each ends by an error

  async function run(link) {
    if (link.name.endsWith('poll')) return poll(link);
    const target = await address(link);
    link.signal.throwIfAborted();
    return link.name === 'websocket' ? webSocket(link, target) : stream(link, target);
  }

  function webSocket(link, target) {
    return new Promise((_, reject) => {
      const socket = new WebSocket(target, 'tidings.v1');
      link.socket = socket;
      link.signal.addEventListener('abort', () => socket.close());
      socket.onmessage = ({ data }) => {
        link.heard = now();
        receive(link, JSON.parse(data));
      };
      // Node's `ws` throws an error that has no listener.
      socket.onerror = () => {};
      socket.onclose = ({ code, reason }) =>
        reject(fail(`WebSocket closed: ${code} ${reason}`, { code, isFinal: code === 1008, isEnd: reason === 'finished' }));
    });
  }

  async function stream(link, target) {
    const isSse = link.name === 'sse';
    const response = await request(target, { signal: link.signal });
    if (response.status === 204) throw fail('ended', { isEnd: true });
    if (!/event-stream|json/.test(response.headers.get('content-type'))) throw fail('not a tidings endpoint');
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = '', event; ; ) {
      const { value: text, done } = await reader.read();
      if (done) throw fail('stream ended');
      link.heard = now();
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        const [, field, content] = isSse ? (/^(\w*): ?(.*)/s.exec(line) ?? []) : [0, line && 'data', line];
        if (field === 'event') event = content;
        else if (field === 'retry') delay = Math.min(+content, maxDelay);
        else if (field === 'data') receive(link, JSON.parse(content), event === 'tidings.end');
        else event = '';
      }
    }
  }

  async function poll(link) {
    for (;;) {
      const response = await request(await address(link), { signal: link.signal });
      const body = await response.json();
      if (!links.has(link)) return;
      link.heard = now();
      link.limit = wait * 1_000 + 10_000;
      promote(link);
      for (const object of body.events) receive(link, object);
      if (!links.has(link)) return;
      move(link, body.cursor);
      if (body.end) throw fail('ended', { isEnd: true });
      const pause = +response.headers.get('tidings-retry-ms');
      if (body.events.length === 0 || (pause && !body.more)) {
        link.heard += pause;
        await sleep(Math.max(pause, minDelay));
      }
      link.signal.throwIfAborted();
    }
  }

  // ---- Objects

  /** Takes an object. `isLast`: all topics have ended. */
  function receive(link, object, isLast) {
    if (!links.has(link)) return;
    const { tidings, id, topic, gap, end } = object;
    // `bye`, and the data of `tidings.retry`, which may be the first frame of a link that is refused.
    if (object.retry_ms && tidings !== 'error') {
      return kill(link, fail('server asks to reconnect', { retry: object.retry_ms }));
    }
    if (tidings === 'hello') link.limit = object.heartbeat_ms * 2.5 || DAY;
    promote(link);
    const { floor } = link;
    move(link, object.cursor ?? id);
    if (tidings) {
      if (tidings === 'topics') confirm(object.topics);
      if (tidings !== 'error') return;
      const error = fail(object.message, object);
      if (object.topics && change) reject(error);
      else emit('error', error);
      return;
    }
    if (gap) {
      const startsOver = gap.reason === 'epoch' || gap.reason === 'invalid';
      if (gap.snapshot && gap.topic && !startsOver) fresh.set(gap.topic, id);
      else if (gap.snapshot || startsOver) {
        fresh.clear();
        delivered = id;
        link.floor = undefined;
      } else advance(id);
      emit('gap', { id, ...gap });
    } else if (end) {
      if (!ended.has(end.topic)) emit('end', { id, ...end });
      ended.add(end.topic);
      if (isLast || !end.topic) finish();
    } else if ('data' in object || object.removed) {
      decode(object);
      if (!topic) return emit('answer', object);
      if (id) {
        if (floor && !isAfter(id, fresh.get(topic) ?? floor)) return;
        if (delivered && !isAfter(id, delivered)) fresh.set(topic, id);
        else fresh.delete(topic);
        advance(id);
      }
      emit('event', object);
    }
  }

  /** Moves the cursor. A link that has reached its floor repeats nothing more. */
  function move(link, id) {
    if (!id) return;
    cursor = id;
    if (link.floor && !isAfter(link.floor, id)) link.floor = undefined;
  }

  function advance(id) {
    if (!delivered || isAfter(id, delivered)) delivered = id;
  }

  // ---- Topics

  function setTopics(next) {
    return new Promise((resolve, rejectChange) => {
      if (state === 'closed') return rejectChange(fail('closed'));
      reject(fail('replaced by a later change'));
      change = { next: [...next], resolve, reject: rejectChange };
      if (live) apply();
    });
  }

  /** Asks for the change on the live link, or connects again with the new topics. */
  function apply() {
    for (const topic of change.next) {
      if (topics?.includes(topic)) continue;
      fresh.set(topic, '');
      ended.delete(topic);
    }
    if (live.socket) return live.socket.send(JSON.stringify({ tidings: 'topics', topics: change.next }));
    dropAll();
    schedule(minDelay);
  }

  function confirm(confirmed) {
    if (topics || change) topics = confirmed;
    if (!change?.next.every((topic) => confirmed.includes(topic))) return;
    change.resolve();
    change = undefined;
  }

  function reject(error) {
    change?.reject(error);
    change = undefined;
    fresh.forEach((last, topic) => last || fresh.delete(topic));
  }

  // ---- Links

  const isGood = (name) => !passed.has(name) && !(demoted[name]?.[0] > now());

  /** Returns the transport to try: the first that has not failed. Without one the first that is offered. */
  function pick() {
    const usable = transports.filter((name) => !refused.has(name) && ![...links].some((link) => link.name === name));
    const good = usable.find(isGood);
    if (good || links.size) return good;
    passed.clear();
    return usable[0];
  }

  function start(name) {
    const abort = new AbortController();
    const link = { name, abort, signal: abort.signal, heard: now(), limit: slowAfter * 4 };
    links.add(link);
    // Another transport is tried in parallel if the first frame is late.
    link.timer = setTimeout(() => {
      link.isSlow = true;
      if (live) return kill(link, fail('slow'));
      const next = pick();
      if (next) start(next);
    }, slowAfter);
    watch(link, link.limit);
    if (!live) setState('connecting', { transport: name });
    run(link).catch((error) => settle(link, error));
  }

  /** Makes a link the live one, at its first frame. */
  function promote(link) {
    if (live === link) return;
    clearTimeout(link.timer);
    clearTimeout(link.watch);
    watch(link, link.limit);
    for (const other of links) {
      if (other === link) continue;
      if (other.isSlow) passed.add(other.name);
      drop(other);
    }
    live = link;
    // It resumes at a cursor that may be below, and then repeats events up to here.
    link.floor = delivered;
    isRenewed = false;
    link.since = now();
    clearTimeout(stableTimer);
    stableTimer = setTimeout(stable, stableAfter, link);
    setState('open');
    if (!change) return;
    if (link.socket || link.topics !== change.next) apply();
    else confirm(change.next);
  }

  /** The live link has lasted for `stableAfter`. Demotes the transports that failed before it. */
  function stable(link) {
    delete demoted[link.name];
    passed.delete(link.name);
    passed.forEach(demote);
    passed.clear();
    earlyEnds = {};
    failures = 0;
    probe();
  }

  function demote(name) {
    const length = Math.min((demoted[name]?.[1] ?? DEMOTION / 2) * 2, MAX_DEMOTION);
    demoted[name] = [now() + length, length];
    try {
      sessionStorage[STORE] = JSON.stringify(demoted);
    } catch {
      // Without storage the demotions are those of this page.
    }
  }

  /** Tries the first transport before the live one whose demotion is over, and sets a timer for the next. */
  function probe() {
    clearTimeout(probeTimer);
    if (!live || fresh.size) return;
    const better = transports.slice(0, transports.indexOf(live.name)).filter((name) => !refused.has(name));
    const due = better.find(isGood);
    if (due && links.size === 1) return start(due);
    const next = Math.min(...better.map((name) => demoted[name]?.[0] ?? 0));
    if (better.length) probeTimer = setTimeout(probe, Math.max(next - now(), 1_000));
  }

  /** Ends a link that is silent for its limit. A timer that is late, as after a sleep, first waits for 2 s. */
  function watch(link, ms) {
    const due = now() + ms;
    link.watch = setTimeout(() => {
      const silence = now() - link.heard;
      if (silence < link.limit) watch(link, link.limit - silence);
      else if (now() - due > 1_000) watch(link, 2_000);
      else kill(link, fail('no heartbeat'));
    }, ms);
  }

  function drop(link) {
    links.delete(link);
    clearTimeout(link.timer);
    clearTimeout(link.watch);
    if (live === link) live = undefined;
    link.abort.abort();
  }

  function dropAll() {
    links.forEach(drop);
    [retryTimer, stableTimer, probeTimer].forEach(clearTimeout);
    retryTimer = 0;
  }

  function kill(link, error) {
    settle(link, error);
    link.abort.abort();
  }

  /** Handles the end of a link. */
  function settle(link, error) {
    if (!links.has(link)) return;
    const wasLive = link === live;
    const { name, topics: asked } = link;
    const { status, retry } = error;
    drop(link);
    if (live) {
      // A probe has failed.
      demote(name);
      return probe();
    }
    const isRefusal = status >= 400 && status < 500 && ![408, 425, 429].includes(status);
    if (error.isEnd) return finish();
    if (!retry) emit('error', error);
    if (isRefusal && change && asked === change.next) reject(error);
    else if ([400, 405, 426, 501].includes(status)) {
      // The endpoint does not offer this transport.
      refused.add(name);
      if (transports.every((other) => refused.has(other))) return close(error);
    } else if (status === 401 && !isRenewed && [url, headers].some((option) => typeof option === 'function')) isRenewed = true;
    else if (isRefusal || error.isFinal) return close(error);
    else if (!wasLive && links.size) passed.add(name);
    else if (!retry && !(wasLive && now() - link.since >= stableAfter)) {
      failures++;
      earlyEnds[name] = (earlyEnds[name] ?? 0) + 1;
      if (demoted[name] || earlyEnds[name] > 1) passed.add(name);
    }
    clearTimeout(stableTimer);
    if (!links.size) return schedule(retry, retry);
    const next = !wasLive && pick();
    if (next) start(next);
  }

  function begin() {
    retryTimer = 0;
    start(pick());
  }

  /** Connects after a given time, else after a random part of a delay that grows; in any case after the minimum delay. */
  function schedule(given, byServer) {
    if (state === 'closed' || pauses.size) return;
    clearTimeout(retryTimer);
    isAnnounced = byServer;
    let ms = given ? given + Math.random() * minDelay : minDelay + Math.random() * Math.min(maxDelay, delay * 2 ** failures);
    if (globalThis.navigator?.onLine === false) ms = Math.max(ms, maxDelay);
    ms = Math.min(Math.max(ms, minDelay), DAY);
    retryTimer = setTimeout(begin, ms);
    setState('waiting', { delay: ms });
  }

  /** Connects soon, unless the server announced another time. */
  function reconnectSoon() {
    if (retryTimer && !isAnnounced) schedule(minDelay);
  }

  function pause(reason) {
    if (state === 'closed') return;
    pauses.add(reason);
    dropAll();
    if (state !== 'paused') setState('paused');
  }

  function resume(reason) {
    if (!pauses.delete(reason) || pauses.size || state === 'closed') return;
    schedule(minDelay);
  }

  // ---- The page

  const listeners = [
    ['online', () => {
      // The connection is probably that of the network before.
      for (const name in demoted) demoted[name][0] = 0;
      if (live) {
        dropAll();
        schedule(minDelay);
      } else reconnectSoon();
    }],
    ['pagehide', () => pause('page')],
    ['pageshow', () => resume('page')],
    ['visibilitychange', () => {
      clearTimeout(hiddenTimer);
      if (!document.hidden) {
        resume('hidden');
        reconnectSoon();
        probe();
      } else if (pauseHiddenAfter != null) hiddenTimer = setTimeout(pause, pauseHiddenAfter, 'hidden');
    }],
  ];
  const listen = (verb) => {
    for (const [name, listener] of listeners) {
      const target = name === 'visibilitychange' ? globalThis.document : globalThis;
      target?.[`${verb}EventListener`]?.(name, listener);
    }
  };

  // ---- The application

  /** Sends a message over the WebSocket if it is open, else by POST. */
  async function send(data) {
    const isRaw = typeof data === 'string' || data instanceof Blob || data instanceof ArrayBuffer || ArrayBuffer.isView(data);
    const body = isRaw ? data : JSON.stringify(data);
    if (live?.socket?.readyState === 1) return live.socket.send(body);
    const response = await request(await address(), { method: 'POST', body, type: isRaw ? undefined : 'application/json' });
    if (response.status === 204) return;
    emit('answer', decode(await response.json()));
  }

  function finish() {
    close(undefined, 'ended');
  }

  function close(error, reason = error ? 'failed' : 'closed') {
    if (state === 'closed') return;
    dropAll();
    clearTimeout(hiddenTimer);
    listen('remove');
    reject(error ?? fail(reason));
    setState('closed', { reason, error });
  }

  if (!globalThis.WebSocket) refused.add('websocket');
  listen('add');
  retryTimer = setTimeout(begin);
  return {
    send,
    setTopics,
    close: () => close(),
    pause: () => pause('application'),
    resume: () => resume('application'),
    get cursor() { return cursor; },
    get state() { return state; },
    get transport() { return live?.name; },
  };
}
