import { TRANSPORTS, indexOf } from './transports/index.js';
import { calm, faint, fit, ink, ms, recall, remember } from './ink.js';

const POINT_EVERY_MS = 50;
const FADES_MS = 6000;
const KEPT_LINES = 40;

/** The pointer field and the chat, with the events of each panel. */
export class Board {
  constructor(page, panels) {
    this.panels = panels;
    this.me = Math.random().toString(36).slice(2, 8);
    this.sender = new Sender(page, panels);
    this.people = new Map();
    this.chat = new Lines(document.getElementById('chat'), panels);
    this.#field();
    this.#form();
  }

  /** Takes an event of the topic `board` from a panel. */
  take(panel, data, late) {
    if (data.kind === 'say') {
      this.chat.take(panel, data.n, late, data.who, data.text);
      panel.hear(data.who, data.text);
    } else if (data.kind === 'point') {
      let person = this.people.get(data.me);
      if (!person) this.people.set(data.me, (person = { at: new Map() }));
      person.who = data.who;
      const { shown } = person.at.get(panel) ?? {};
      person.at.set(panel, { x: data.x, y: data.y, seen: performance.now(), shown });
    }
  }

  /** Takes the server's counters of the POSTs. */
  counted({ requests, up }) {
    this.sender.postBytes = Math.round(up / requests);
  }

  /** Sends a message of this person. */
  send(message) {
    return this.sender.now({ me: this.me, who: this.who, ...message });
  }

  get who() {
    return this.$who.value.trim() || 'guest';
  }

  #field() {
    const field = (this.field = document.getElementById('field'));
    this.own = { x: 0.5, y: 0.5 };
    field.addEventListener('pointermove', (event) => {
      const box = field.getBoundingClientRect();
      this.#point((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    });
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    field.addEventListener('keydown', (event) => {
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      this.#point(this.own.x + 0.02 * step[0], this.own.y + 0.03 * step[1]);
    });
  }

  #point(x, y) {
    const within = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1e4) / 1e4;
    this.own = { x: within(x), y: within(y) };
    this.sender.latest({ kind: 'point', me: this.me, who: this.who, ...this.own });
  }

  #form() {
    this.$who = document.getElementById('who');
    this.$who.value = recall('who') ?? `guest ${this.me.slice(0, 2)}`;
    this.$who.onchange = () => remember('who', this.who);
    const text = document.getElementById('text');
    document.getElementById('say').onsubmit = async (event) => {
      event.preventDefault();
      const said = text.value.trim();
      if (!said) return;
      text.value = '';
      await this.send({ kind: 'say', text: said });
    };
  }

  /** Draws each person once for each panel, as rings of growing size: equal positions make a target. */
  draw() {
    const { context, width, height } = fit(this.field);
    context.strokeStyle = ink.rule;
    context.lineWidth = 1;
    for (let x = 0.125; x < 1; x += 0.125) line(context, x * width, 0, x * width, height);
    for (let y = 0.25; y < 1; y += 0.25) line(context, 0, y * height, width, y * height);
    const now = performance.now();
    for (const [me, { who, at }] of this.people) {
      let newest = null;
      for (const [panel, point] of at) {
        const age = now - point.seen;
        if (age > FADES_MS) at.delete(panel);
        else if (!newest || point.seen > newest.seen) newest = point;
        this.#ring(context, panel, point, Math.max(0, 1 - age / FADES_MS), width, height);
      }
      if (newest) {
        context.fillStyle = ink.muted;
        context.font = '11px Inter, ui-sans-serif, system-ui, sans-serif';
        context.fillText(me === this.me ? 'you' : who, newest.x * width + 24, newest.y * height + 4);
      } else this.people.delete(me);
    }
  }

  #ring(context, panel, point, strength, width, height) {
    const [x, y] = [point.x * width, point.y * height];
    // The drawn position follows the received one, at once if the user prefers reduced motion.
    const shown = (point.shown ??= { x, y });
    const share = calm.matches ? 1 : 0.55;
    shown.x += (x - shown.x) * share;
    shown.y += (y - shown.y) * share;
    context.beginPath();
    context.arc(shown.x, shown.y, 19 - 3.4 * this.panels.indexOf(panel), 0, 2 * Math.PI);
    context.strokeStyle = faint(ink.transports[indexOf(panel.key)], Math.min(1, strength * 1.5));
    context.lineWidth = 2.25;
    context.stroke();
  }
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** A list of lines, each with a bar for every panel that received it. */
export class Lines {
  constructor(list, panels) {
    this.list = list;
    this.panels = panels;
    this.rows = new Map();
  }

  take(panel, n, late, who, text) {
    let row = this.rows.get(n);
    if (!row) this.rows.set(n, (row = this.#row(who, text)));
    const bar = row.bars[this.panels.indexOf(panel)];
    bar.style.setProperty('--own', `var(--${panel.key})`);
    // Full height up to 2 ms, a quarter from 2 s on.
    bar.style.setProperty('--height', `${Math.round(100 - 25 * Math.min(3, Math.max(0, Math.log10(late / 2))))}%`);
    bar.title = `${TRANSPORTS[indexOf(panel.key)].label}: after ${ms(late)}`;
    bar.classList.add('here');
    row.have++;
    row.bar.setAttribute('aria-label', `in ${row.have} of ${this.panels.length} panels`);
  }

  #row(who, text) {
    const item = document.createElement('li');
    const bar = document.createElement('span');
    bar.className = 'bars';
    bar.setAttribute('role', 'img');
    const bars = this.panels.map(() => bar.appendChild(document.createElement('i')));
    if (who) item.append(Object.assign(document.createElement('b'), { textContent: who }), ' ');
    item.append(Object.assign(document.createElement('span'), { className: 'said', textContent: text }), bar);
    const atEnd = this.list.scrollTop + this.list.clientHeight > this.list.scrollHeight - 30;
    this.list.append(item);
    while (this.list.children.length > KEPT_LINES) this.list.firstElementChild.remove();
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
    if (this.rows.size > 4 * KEPT_LINES) this.rows.delete(this.rows.keys().next().value);
    return { bar, bars, have: 0 };
  }
}

/**
 * Sends messages, over the connection of a WebSocket panel or by POST. Only the newest pointer position matters, so at most
 * one is on its way and at most twenty a second are sent: POSTs must not use up the browser's six connections.
 */
class Sender {
  constructor(page, panels) {
    this.page = page;
    this.panels = panels;
    this.pending = null;
    this.busy = false;
    this.postBytes = null;
  }

  /** Sends the newest of these messages, at the allowed rate. */
  async latest(message) {
    this.pending = message;
    if (this.busy) return;
    this.busy = true;
    while (this.pending) {
      const next = this.pending;
      this.pending = null;
      const pace = new Promise((done) => setTimeout(done, POINT_EVERY_MS));
      await this.now(next);
      await pace;
    }
    this.busy = false;
  }

  async now(message) {
    const text = JSON.stringify(message);
    const over = document.querySelector('[name=via]:checked').value;
    if (over === 'websocket') {
      const sent = this.panels.some(({ link }) => link.key === 'websocket' && link.send(text));
      if (sent) return this.#note(`one frame of ${text.length + (text.length < 126 ? 6 : 8)} bytes each`);
    }
    try {
      const sent = await fetch(`/events?panel=${this.page}.post`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: text,
      });
      const size = this.postBytes ? `one request of ${this.postBytes} bytes each` : 'one request each';
      this.#note(sent.ok ? size + (over === 'post' ? '' : ', by POST: no WebSocket is open') : `refused: ${sent.status}`);
    } catch {
      this.#note('not sent: the server does not answer');
    }
  }

  #note(text) {
    document.getElementById('via-note').textContent = text;
  }
}
