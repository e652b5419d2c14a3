// The browser client in a real Chromium, against the server of server.rs through a proxy that breaks transports: each transport
// blocked in turn, a WebSocket that is killed after its handshake, a page that is frozen, offline, hidden or in the back/forward
// cache, and a restart of the server. No event is lost, doubled or out of order, and the number of attempts is limited.
//
//   cargo build --example browser_client --features full,disk
//   cd tests/browser && npm ci && node client.mjs ../../target/debug/examples/browser_client
//
// Starts the browser, /usr/bin/chromium or the path in CHROMIUM, and the server. Exits with 1 at the first check that fails.

import { mistakes, ok, parameters, run, until } from './browser.mjs';
import { fault, Proxy, Server, Source, TRANSPORTS } from './client-kit.mjs';

const { address: program } = parameters();
const FAST = { minDelay: 40, delay: 80, maxDelay: 400, stableAfter: 400, slowAfter: 1_500, wait: 2 };

const server = await Server.open(program);
let browser;
let topics = 0;

/** A page with a client of one topic. Its origin is a proxy of its own. */
class Trial {
  static async open(name, options = {}, rules = {}) {
    const trial = new Trial();
    trial.name = name;
    trial.topic = `page/${topics++}`;
    trial.source = new Source(server, trial.topic);
    trial.proxy = await Proxy.open(server.port);
    trial.proxy.rules = rules;
    trial.page = await browser.newPage();
    await trial.page.goto(trial.proxy.url);
    await trial.page.evaluate(async ([topic, options]) => {
      const { connect } = await import('/tidings.js');
      window.seen = [];
      window.states = [];
      window.gaps = [];
      window.client = connect('/events', {
        topics: [topic],
        onevent: ({ data }) => seen.push(data),
        onstate: (state) => states.push({ ...state, error: undefined }),
        ongap: (gap) => gaps.push(gap),
        ...options,
      });
    }, [trial.topic, { ...FAST, ...options }]);
    return trial;
  }

  get(expression) {
    return this.page.evaluate(expression);
  }

  until(what, holds) {
    return until(`${this.name}: ${what}`, holds);
  }

  opened() {
    return this.until('the client is open', () => this.get('client.state === "open" && !!client.cursor'));
  }

  async publish(count) {
    await this.source.publish(count);
    await this.until(`${this.source.published} events arrive`, () => this.get(`seen.length >= ${this.source.published}`));
  }

  /** Checks what the page got, and the delays before each reconnect. */
  async close() {
    await this.publish(10);
    const [seen, gaps, states] = await this.get('[seen, gaps, states]');
    ok(!fault(seen) && seen.length === this.source.published, `${this.name}: each event once and in order`, fault(seen));
    ok(gaps.length === 0, `${this.name}: no gap`, JSON.stringify(gaps));
    const delays = states.filter(({ state }) => state === 'waiting').map(({ delay }) => delay);
    const bounded = (delay) => delay >= FAST.minDelay && delay <= Math.max(FAST.minDelay + FAST.maxDelay, 700);
    ok(delays.every(bounded), `${this.name}: each delay is within its bounds`, String(delays));
    await this.page.close();
    this.proxy.close();
  }

  /** Checks the number of the client's attempts. The browser itself may repeat a request whose connection was ended. */
  async attempts(most, transport) {
    const states = await this.get('states.filter(({ state }) => state === "connecting")');
    const { length } = states.filter((state) => !transport || state.transport === transport);
    ok(length <= most, `${this.name}: at most ${most} attempts${transport ? ` by ${transport}` : ''}`, String(length));
  }
}

// Playwright switches the back/forward cache off.
await run(null, { ignoreDefaultArgs: ['--disable-back-forward-cache'] }, async (launched) => {
  browser = launched;
  try {
    for (const trial of [blocked, killed, restarted, frozen, offline, hidden, cached, inWorker]) await trial();
    ok(mistakes.length === 0, 'no script failed', mistakes.join());
  } finally {
    await server.close();
  }
});

async function blocked() {
  for (let count = 0; count < TRANSPORTS.length; count++) {
    const names = TRANSPORTS.slice(0, count);
    const rules = Object.fromEntries(names.map((name) => [name, 'block']));
    const trial = await Trial.open(`without ${names.join(', ') || 'a fault'}`, {}, rules);
    await trial.opened();
    ok((await trial.get('client.transport')) === TRANSPORTS[count], `${trial.name}: ${TRANSPORTS[count]} is used`);
    for (const name of names) await trial.attempts(2, name);
    await trial.publish(20);
    await trial.close();
  }
}

async function killed() {
  const trial = await Trial.open('WebSocket is killed after its handshake', {}, { websocket: 30 });
  await trial.until('the client has left it', () => trial.get('client.transport === "sse"'));
  for (let round = 0; round < 10; round++) await trial.publish(5);
  await trial.attempts(2, 'websocket');
  await trial.until('the failure is stored', () => trial.get('!!sessionStorage.tidings'));
  await trial.page.reload();
  await trial.page.evaluate(async (topic) => {
    const { connect } = await import('/tidings.js');
    window.client = connect('/events', { topics: [topic] });
  }, trial.topic);
  await trial.opened();
  ok((await trial.get('client.transport')) === 'sse', `${trial.name}: a reload begins with the transport that works`);
  ok(trial.proxy.of('websocket').length === 2, `${trial.name}: two handshakes in all`);
  await trial.page.close();
  trial.proxy.close();
}

async function restarted() {
  for (const signal of ['SIGKILL', 'SIGINT']) {
    const trial = await Trial.open(`restart by ${signal}`);
    await trial.opened();
    await trial.publish(20);
    await server.stop(signal);
    await trial.until('the client has noticed', () => trial.get('client.state !== "open"'));
    await server.start();
    await trial.publish(20);
    await trial.close();
  }
}

/**
 * The processes of the pages are stopped, for longer than the client waits for a heartbeat, which the server sends each second. A
 * page that the test drives counts as visible, and `Page.setWebLifecycleState` does not freeze it.
 */
async function frozen() {
  const kinds = ['websocket', 'sse', 'long-poll'].flatMap((transport) => [false, true].map((isCut) => [transport, isCut]));
  const trials = [];
  for (const [transport, isCut] of kinds) {
    const trial = await Trial.open(`${transport}, frozen${isCut ? ' and cut' : ''}`, { transports: [transport] });
    await trial.opened();
    await trial.publish(10);
    await trial.get('window.longest = 0, last = Date.now(), setInterval(() => { longest = Math.max(longest, Date.now() - last); last = Date.now(); }, 50)');
    trials.push(trial);
  }
  const devtools = await browser.browser().newBrowserCDPSession();
  const { processInfo } = await devtools.send('SystemInfo.getProcessInfo');
  const renderers = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
  ok(renderers.length > 0, 'the browser has processes of pages');
  const signal = (name) => renderers.forEach((id) => process.kill(id, name));
  signal('SIGSTOP');
  try {
    const pieces = trials.map(({ proxy }) => proxy.pieces);
    for (const { source } of trials) await source.publish(10);
    trials.forEach((trial, at) => kinds[at][1] && trial.proxy.cut());
    await until('four heartbeats to frozen pages', () => trials[0].proxy.pieces >= pieces[0] + 14);
  } finally {
    signal('SIGCONT');
  }
  for (const [at, trial] of trials.entries()) {
    const [transport, isCut] = kinds[at];
    await trial.publish(10);
    ok(await trial.get('longest > 2500'), `${trial.name}: the page was frozen`, await trial.get('longest'));
    if (transport !== 'long-poll') await trial.attempts(isCut ? 3 : 1);
    await trial.close();
  }
}

async function offline() {
  const trial = await Trial.open('offline');
  await trial.opened();
  await trial.publish(10);
  await browser.setOffline(true);
  trial.proxy.cut();
  await trial.until('the client has noticed', () => trial.get('client.state !== "open"'));
  await trial.source.publish(10);
  await browser.setOffline(false);
  await trial.publish(10);
  await trial.attempts(6);
  await trial.close();
}

async function hidden() {
  const trial = await Trial.open('hidden', { pauseHiddenAfter: 10 });
  await trial.opened();
  await trial.publish(10);
  const show = (isHidden) => trial.page.evaluate((isHidden) => {
    Object.defineProperty(document, 'hidden', { value: isHidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);
  await show(true);
  await trial.until('the client has paused', () => trial.get('client.state === "paused"'));
  const { length } = trial.proxy.requests;
  await trial.source.publish(10);
  ok(trial.proxy.requests.length === length, `${trial.name}: no attempt while it is hidden`);
  await show(false);
  await trial.publish(10);
  await trial.close();
}

async function cached() {
  const trial = await Trial.open('back/forward cache');
  await trial.opened();
  await trial.publish(10);
  await trial.get('addEventListener("pageshow", ({ persisted }) => (window.persisted = persisted))');
  await trial.page.goto(`${trial.proxy.url}/sessions`);
  await until(`${trial.name}: the client has left`, async () => (await server.sessions()) === 0);
  await trial.source.publish(10);
  await trial.page.goBack({ waitUntil: 'commit' });
  ok(await trial.get('window.persisted === true'), `${trial.name}: the page was in the cache`);
  await trial.publish(10);
  await trial.close();
}

async function inWorker() {
  const trial = await Trial.open('worker');
  await trial.opened();
  await trial.page.evaluate((topic) => {
    const code = `import { connect } from '${location.origin}/tidings.js';
      connect('${location.origin}/events', {
        topics: ['${topic}'],
        onevent: ({ data }) => postMessage(data),
        onstate: ({ state }) => state === 'open' && postMessage(state),
      });`;
    window.fromWorker = [];
    const blob = new Blob([code], { type: 'text/javascript' });
    const worker = new Worker(URL.createObjectURL(blob), { type: 'module' });
    worker.onmessage = ({ data }) => fromWorker.push(data);
  }, trial.topic);
  await trial.until('the client in the worker is open', () => trial.get('fromWorker[0] === "open"'));
  await trial.publish(10);
  await trial.until('its events arrive', () => trial.get('fromWorker.length === 11'));
  await trial.close();
}
