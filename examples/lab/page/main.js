import { TRANSPORTS } from './transports/index.js';
import { Board, Lines } from './board.js';
import { Cells } from './cells.js';
import { Panel } from './panel.js';
import { Plots } from './plots.js';
import { Restarts } from './restarts.js';
import { Series } from './series.js';
import { synchronise } from './clock.js';
import { bytes, calm, count, readInk, theme } from './ink.js';
import { survey } from './ribbon.js';

const RATES = [0, 1, 2, 5, 10, 50, 100, 200];
const SIZES = [64, 128, 256, 512, 1024, 4096, 16_384];
const POLLS = [100, 250, 500, 1000, 2000, 5000, 10_000];

const GAPS = {
  epoch: 'the hub is a new one',
  evicted: 'history is not kept that long',
  overflow: 'history is not kept that long',
  invalid: 'the cursor means nothing here',
};

const page = Math.random().toString(36).slice(2, 10);
const $ = (id) => document.getElementById(id);

readInk();
theme($('theme'));

const about = await begin();
setInterval(() => document.hidden || synchronise().catch(() => {}), 60_000);

const series = new Series();
const world = {
  run: about.load.run,
  head: about.load.n,
  rate: about.load.rate,
  epoch: about.epoch,
  pollEvery: 1000,
  delayed: (transport, at, late) => series.delayed(transport, at, late),
  told(panel, topic, data, late) {
    if (topic === 'board') board.take(panel, data, late);
    else if (topic === about.log) lines?.take(panel, data.n, late, '', data.line);
  },
  cell: (key) => cells?.show(key),
  gap(panel, { reason }) {
    cells?.showAll();
    tellGap(panel.letter, reason);
  },
};

let board, cells, lines;
const told = { reason: null, letters: [], forget: 0 };
const panels = TRANSPORTS.map((_, index) => new Panel(page, index, about.topics, world));
$('panels').append(...panels.map(({ root }) => root));
board = new Board(page, panels);
cells = new Cells($('cells'), panels, (cell, set) => board.send({ kind: 'cell', cell, set }));
if (about.log) {
  $('log-side').hidden = false;
  $('log-topic').textContent = about.log;
  lines = new Lines($('log'), panels);
}
const restarts = new Restarts($('restarts'), panels);
if (about.disk) {
  $('kill').hidden = false;
  // The ends of topics would outlive the process, and the hub cannot be replaced.
  $('end').hidden = $('restart').hidden = true;
}
topics();
const plots = new Plots(series);
const twin = new URL(location.href);
twin.hostname = location.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
$('twin').href = twin.href;

async function begin() {
  try {
    const answer = await (await fetch('/about', { cache: 'no-store' })).json();
    await synchronise();
    return answer;
  } catch (error) {
    say('The server does not answer. Load the page again when it does.');
    throw error;
  }
}

/* Controls */

/** Adds a box for each topic. At least one topic is followed. */
function topics() {
  const boxes = about.topics.map((topic) => {
    const box = Object.assign(document.createElement('input'), { type: 'checkbox', checked: true, value: topic });
    const label = document.createElement('label');
    label.append(box, ` ${topic}`);
    $('topics').append(label);
    return box;
  });
  $('topics').onchange = ({ target }) => {
    const followed = boxes.filter(({ checked }) => checked).map(({ value }) => value);
    if (!followed.length) return void (target.checked = true);
    panels.forEach((panel) => panel.follow(followed));
  };
}

function say(text) {
  $('status').textContent = text;
}

/** Reports the gaps that came within a few seconds, in one sentence. */
function tellGap(letter, reason) {
  told.letters = [...new Set([...(told.reason === reason ? told.letters : []), letter])].sort();
  told.reason = reason;
  clearTimeout(told.forget);
  told.forget = setTimeout(() => (told.reason = null), 6000);
  const who = told.letters.length > 1 ? `Panels ${told.letters.join(', ')}` : `Panel ${letter}`;
  say(`${who} got a gap: ${GAPS[reason] ?? reason}.`);
}

async function order(address, done) {
  try {
    const response = await fetch(address, { method: 'POST' });
    say(response.ok ? done(await response.json()) : `The server refused: ${await response.text()}`);
  } catch {
    say('The server does not answer.');
  }
}

function dial(id, values, show, apply) {
  const [input, output] = [$(id), $(`${id}-out`)];
  const label = () => {
    output.textContent = show(values[input.value]);
    input.setAttribute('aria-valuetext', output.textContent);
  };
  input.max = values.length - 1;
  input.oninput = label;
  input.onchange = () => apply(values[input.value]);
  return (value) => {
    if (document.activeElement === input && input.matches(':active')) return;
    const nearest = values.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(values[best] - value) ? i : best), 0);
    input.value = nearest;
    label();
    if (values[nearest] !== value) output.textContent = show(value);
  };
}

const everyone = 'for all windows';
const setRate = dial('rate', RATES, (n) => (n ? `${n} / s` : 'none'), (n) =>
  order(`/load?rate=${n}`, () => `${n} events a second, ${everyone}.`));
const setSize = dial('size', SIZES, bytes, (n) =>
  order(`/load?size=${n}`, () => `Events of ${bytes(n)}, ${everyone}.`));
const setPoll = dial('poll', POLLS, (n) => (n < 1000 ? `${n} ms` : `${n / 1000} s`), (n) => (world.pollEvery = n));
setRate(about.load.rate);
setSize(about.load.size);
setPoll(world.pollEvery);

$('cut').onclick = () => order(`/cut?page=${page}`, ({ cut }) => `The server cut ${count(cut)} connections of this page.`);
$('end').onclick = () => order('/end', ({ ended }) =>
  `The server ended ${ended} topics. Every panel received the end and sends no further request. Restart the hub to go on.`);
$('restart').onclick = () => order('/restart', ({ epoch }) => `The server has a new hub with epoch ${epoch}.`);

$('process').onclick = () => restart('clean', 'restart');
$('kill').onclick = () => restart('kill', 'kill -9');

/** Restarts the server's process. A process that is killed does not answer. */
async function restart(how, name) {
  restarts.asked = name;
  const response = await fetch(`/process?how=${how}`, { method: 'POST' }).catch(() => null);
  if (response && !response.ok) restarts.asked = null;
  say(response && !response.ok ? `Not restarted: ${await response.text()}` : 'The process ends, and another one begins.');
}

/* The server's counters, once a second, on a connection of no panel, so that no panel's bytes include them. */

async function counters() {
  if (document.hidden) return;
  try {
    const { load, epoch, pid, panels: counted } = await (await fetch(`/counters?page=${page}`, { cache: 'no-store' })).json();
    // A restarted server numbers its events from 1 again.
    world.head = load.run === world.run ? Math.max(world.head, load.n) : load.n;
    world.run = load.run;
    restarts.seen(pid);
    world.rate = load.rate;
    // A new hub has begun the topics again.
    if (epoch !== world.epoch) for (const { link } of panels) link.revive();
    world.epoch = epoch;
    setRate(load.rate);
    setSize(load.size);
    for (const panel of panels) if (counted[panel.id]) panel.counted(counted[panel.id]);
    if (counted[`${page}.post`]) board.counted(counted[`${page}.post`]);
    series.counted(panels.filter(({ id }) => counted[id]).map(({ id, key }) => ({
      id,
      transport: TRANSPORTS.findIndex((transport) => transport.key === key),
      counters: counted[id],
    })));
  } catch {
    // The panels show that the server does not answer.
  }
}
setInterval(counters, 1000);
counters();

/* A hidden tab holds no connections. Two visible ones need more than a browser opens to one host, and show a note. */

const windows = new BroadcastChannel('lab');
windows.onmessage = ({ data }) => {
  if (document.hidden) return;
  $('crowd').hidden = false;
  if (data === 'opened') windows.postMessage('here too');
};

function seen() {
  $('crowd').hidden = true;
  if (!document.hidden) windows.postMessage('opened');
  for (const { link } of panels) document.hidden ? link.hide() : link.show();
}
document.addEventListener('visibilitychange', seen);
seen();

/* Drawing: ribbons and rings at each screen refresh, figures four times a second, plots twice a second. */

let drawn = { ribbons: 0, figures: 0, plots: 0 };
function frame(now) {
  const due = (what, every) => now - drawn[what] >= every && ((drawn[what] = now), true);
  if (due('ribbons', calm.matches ? 500 : 33)) {
    panels.forEach((panel) => panel.draw());
    board.draw();
  }
  if (due('figures', 250)) panels.forEach((panel) => panel.figures());
  if (due('plots', calm.matches ? 2000 : 500)) plots.draw();
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);

/**
 * For tests, read-only. `lab.panels[i]`: id, letter, transport, state, cursor, topics, over { topic: reason }, events, missed (`told`: announced by gaps), duplicates,
 * gaps [{ reason, missed, topic, at }], ribbon { here, filled, waiting, missing } as drawn now, heard (chat texts), cells (keys),
 * delay [p50, p99] in ms, server { requests, connections, up, down }. `lab.head`: the newest known number of `load`.
 * `lab.disk`: the directory of the history, or null. `lab.restarts[i]`, the newest first: how, from and to (process ids), panels
 * [{ letter, transport, events, lost, doubled, gaps }] since then.
 */
window.lab = Object.freeze({
  page,
  disk: about.disk,
  get head() {
    return world.head;
  },
  get restarts() {
    return restarts.list;
  },
  get panels() {
    return panels.map((panel) => ({
      id: panel.id,
      letter: panel.letter,
      transport: panel.key,
      state: panel.link.state,
      cursor: panel.link.cursor,
      topics: [...panel.link.follows],
      over: Object.fromEntries(panel.link.over),
      events: panel.tally.events,
      missed: panel.tally.missed,
      told: panel.tally.told,
      duplicates: panel.tally.duplicates,
      gaps: panel.tally.gaps.map((gap) => ({ ...gap })),
      ribbon: survey(panel.tally.track('load'), world.head, world.rate, panel.connected),
      heard: [...panel.heard],
      cells: [...panel.cells.keys()],
      delay: panel.delays.quantiles(performance.now() - 30_000, 0.5, 0.99),
      server: { ...panel.server },
    }));
  },
});
