import { TRANSPORTS, byKey, indexOf } from './transports/index.js';
import { Delays, Tally } from './tally.js';
import { Link } from './link.js';
import { serverNow } from './clock.js';
import { bytes, count, faint, fit, ink, ms } from './ink.js';
import * as ribbon from './ribbon.js';

const WINDOW_MS = 30_000;
const RATE_WINDOW_MS = 10_000;

const WORDS = {
  connecting: () => 'connecting',
  open: () => 'live',
  waiting: (left) => (left ? `reconnects in ${left} s` : 'reconnecting'),
  paused: (left) => `paused, ${left} s`,
  hidden: () => 'tab hidden',
  refused: () => 'refused',
  over: () => 'ended',
};

/** One panel: a link to the hub, its counts, and their display. */
export class Panel {
  constructor(page, index, topics, world) {
    this.letter = 'ABCDE'[index];
    this.id = `${page}.${index}`;
    this.world = world;
    this.tally = new Tally();
    this.delays = new Delays();
    this.server = { requests: 0, connections: 0, up: 0, down: 0 };
    this.marks = [];
    this.seams = [];
    this.heard = [];
    /** Cells that this panel holds, by key. */
    this.cells = new Map();
    this.load = [];
    this.host = null;
    this.link = new Link(
      { panel: this.id, topics, pollEvery: () => world.pollEvery },
      { event: this.#event.bind(this), gap: this.#gap.bind(this), left: (topic) => this.#left(topic), state: () => this.#state() },
    );
    this.#build();
    this.link.start(TRANSPORTS[index].key);
    this.#showTransport();
  }

  get key() {
    return this.link.key;
  }

  get connected() {
    return this.link.state === 'open';
  }

  move(key) {
    this.link.move(key);
    this.marks = [];
    this.#showTransport();
  }

  /** Follows these topics. */
  follow(topics) {
    this.link.follow(topics);
  }

  /** Forgets the numbers, or the cells, of a topic that is not followed any more. */
  #left(topic) {
    this.tally.drop(topic);
    if (topic !== 'cells') return;
    const keys = [...this.cells.keys()];
    this.cells.clear();
    keys.forEach(this.world.cell);
  }

  /** Takes the server's counters of this panel. Figures per event are over the last ten seconds. */
  counted(server) {
    this.server = server;
    const now = performance.now();
    this.marks.push({ now, events: this.tally.events, up: server.up, down: server.down });
    while (this.marks.length > 2 && this.marks[1].now < now - RATE_WINDOW_MS) this.marks.shift();
  }

  perEvent(direction) {
    const [first, last] = [this.marks[0], this.marks.at(-1)];
    const events = first && last.events - first.events;
    return events ? (last[direction] - first[direction]) / events : null;
  }

  #event({ topic, key, data }, replayed) {
    if (topic === 'cells') return this.#cell(key, data);
    const now = performance.now();
    const late = Math.max(0, serverNow() - data.t);
    if (this.tally.take(topic, data.n, data.t, replayed) !== 'twice') {
      this.delays.add(now, late);
      this.world.delayed(indexOf(this.key), now, late);
    }
    if (topic === 'load') this.world.head = Math.max(this.world.head, data.n);
    if (topic === 'host') this.#hosted(data);
    this.world.told(this, topic, data, late);
  }

  /** Sets a cell, or removes it without data. */
  #cell(key, data) {
    this.tally.count();
    data ? this.cells.set(key, data) : this.cells.delete(key);
    this.world.cell(key);
  }

  #gap({ gap }) {
    this.tally.gap(gap, performance.now());
    // All cells follow.
    if (gap.snapshot) this.cells.clear();
    const { last } = this.tally.track('load');
    if (last !== null) this.seams.push(last + 1);
    this.world.gap(this, gap);
  }

  #hosted(data) {
    this.host = data;
    this.load.push(data.cpu.reduce((sum, core) => sum + core, 0) / (data.cpu.length || 1));
    if (this.load.length > 120) this.load.shift();
  }

  hear(who, text) {
    this.heard.push(text);
    if (this.heard.length > 50) this.heard.shift();
    this.$.heard.textContent = `${who}: ${text}`;
  }

  #build() {
    this.root = document.getElementById('panel').content.firstElementChild.cloneNode(true);
    const find = (selector) => this.root.querySelector(selector);
    this.$ = {
      name: find('.name'), how: find('.how'), state: find('.state'), word: find('.state span'),
      ribbon: find('.ribbon'), behind: find('.behind'), told: find('.told'), spark: find('.spark'),
      select: find('select'), pause: find('.pause'),
    };
    for (const node of this.root.querySelectorAll('[data-k]')) this.$[node.dataset.k] = node;
    find('.letter').textContent = this.letter;
    const heading = find('h2');
    heading.id = `panel-${this.letter}`;
    this.root.setAttribute('aria-labelledby', heading.id);
    this.$.select.add(new Option('Move to …', '', true, true));
    for (const { key, short } of TRANSPORTS) this.$.select.add(new Option(short, key));
    this.$.select.onchange = () => this.$.select.value && this.move(this.$.select.value);
    this.$.pause.onclick = () => this.link.pause(10_000);
  }

  /** Shows the colour and the name of the current transport. */
  #showTransport() {
    const { key, label, how } = byKey(this.key);
    this.root.style.setProperty('--own', `var(--${key})`);
    this.root.dataset.transport = key;
    this.$.name.textContent = label;
    this.$.how.textContent = how;
    this.$.select.value = '';
    for (const option of this.$.select.options) option.disabled = option.value === key;
    this.$.select.setAttribute('aria-label', `Move panel ${this.letter} to another transport`);
    this.$.pause.setAttribute('aria-label', `Pause panel ${this.letter} for ten seconds`);
  }

  #state() {
    const { state, until } = this.link;
    this.$.state.dataset.state = state;
    const left = until && Math.max(0, Math.ceil((until - performance.now()) / 1000));
    this.$.word.textContent = WORDS[state](left);
  }

  /** Draws the ribbon and the sparkline, at each screen refresh. */
  draw() {
    const track = this.tally.track('load');
    const { head, rate } = this.world;
    const colour = ink.transports[indexOf(this.key)];
    ribbon.draw(this.$.ribbon, { track, head, rate, connected: this.connected, colour, seams: this.seams });
    while (this.seams.length && this.seams[0] < head - ribbon.span(rate)) this.seams.shift();
    this.#spark(colour);
  }

  #spark(colour) {
    const { context, width, height } = fit(this.$.spark);
    if (this.load.length < 2) return;
    const step = width / 119;
    const point = (value, i) => [width - (this.load.length - 1 - i) * step, height - 1 - (value / 100) * (height - 2)];
    context.beginPath();
    this.load.forEach((value, i) => context.lineTo(...point(value, i)));
    context.strokeStyle = colour;
    context.lineWidth = 1.25;
    context.lineJoin = 'round';
    context.stroke();
    context.lineTo(width, height);
    context.lineTo(width - (this.load.length - 1) * step, height);
    context.fillStyle = faint(colour, 0.13);
    context.fill();
  }

  /** Shows the figures, a few times a second. */
  figures() {
    const { tally, server, $ } = this;
    this.#state();
    const [p50, p99] = this.delays.quantiles(performance.now() - WINDOW_MS, 0.5, 0.99) ?? [];
    const [down, up] = [this.perEvent('down'), this.perEvent('up')];
    $.p50.textContent = p50 === undefined ? '–' : ms(p50);
    $.p99.textContent = p99 === undefined ? '–' : ms(p99);
    $.events.textContent = count(tally.events);
    $.missed.textContent = count(tally.missed);
    const silent = tally.missed - tally.told;
    $.missed.classList.toggle('bad', silent > 0);
    $.missed.previousElementSibling.textContent = !tally.missed ? 'missed' : silent > 0 ? `missed, ${count(silent)} untold` : 'missed, told';
    $.duplicates.textContent = count(tally.duplicates);
    $.duplicates.classList.toggle('bad', tally.duplicates > 0);
    $.requests.textContent = count(server.requests);
    $.connections.textContent = count(server.connections);
    $.down.textContent = down === null ? '–' : bytes(down);
    $.up.textContent = up === null ? '–' : bytes(up);
    $.cursor.textContent = this.link.cursor ?? 'none yet';
    const { last } = tally.track('load');
    const behind = last === null ? 0 : Math.max(0, this.world.head - last);
    $.behind.textContent = last === null ? '' : `at ${count(last)}${behind ? `, ${count(behind)} behind` : ''}`;
    $.ribbon.setAttribute('aria-label', `Numbers of the topic load: ${$.behind.textContent}`);
    const gap = tally.gaps.at(-1);
    const ended = [...this.link.over].map(([topic, reason]) => `${topic} ${reason}`).join(', ');
    $.told.textContent = ended || (gap ? `gap: ${gap.reason}${gap.missed ? `, ${count(gap.missed)} missed` : ''}` : '');
    if (this.host) $.host.replaceChildren(...hostFigures(this.host));
  }
}

function hostFigures({ cpu, mem, net, disk }) {
  const load = cpu.reduce((sum, core) => sum + core, 0) / (cpu.length || 1);
  const figures = {
    cpu: `${Math.round(load)} %`,
    memory: bytes(mem.used),
    net: `${bytes(net.rx + net.tx)}/s`,
    disk: `${bytes(disk.read + disk.written)}/s`,
  };
  return Object.entries(figures).map(([name, value]) => {
    const figure = document.createElement('span');
    figure.append(`${name} `, Object.assign(document.createElement('b'), { textContent: value }));
    return figure;
  });
}
