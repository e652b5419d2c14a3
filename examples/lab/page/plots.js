import { TRANSPORTS } from './transports/index.js';
import { FLOOR_MS, REQUEST_SECONDS, SECONDS } from './series.js';
import { bytes, count, faint, ink, ms, onInk } from './ink.js';

const { uPlot } = window;
const FONT = '11px Inter, ui-sans-serif, system-ui, sans-serif';
const MOST_DOTS = 1200;
const SECOND_STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200];

/** The four plots and their legend, which shows the values under the pointer, or the latest ones. */
export class Plots {
  constructor(series) {
    this.series = series;
    this.shown = TRANSPORTS.map(() => true);
    this.charts = [
      new Chart('plot-delay', this, delay(this), (i) => i && ms(i)),
      new Chart('plot-spread', this, spread(this)),
      new Chart('plot-bytes', this, lines({ x: clock, y: bytes, most: null })),
      new Chart('plot-requests', this, lines({ x: ago, y: count, most: 10, step: true })),
    ];
    this.#legend();
    onInk(() => this.charts.forEach((chart) => chart.rebuild()));
  }

  draw() {
    const now = (this.now = performance.now());
    const { series } = this;
    const [delays, shape, total, pace] = this.charts;
    delays.set(series.medians(now));
    const [centres, rows] = series.spread(now);
    // Rows from the top in the order of the panels, each with at most nine tenths of its row's height.
    shape.set([centres, ...rows.map((row, i) => (row ?? Array(centres.length).fill(null))
      .map((share) => (share === null ? null : TRANSPORTS.length - 1 - i + 0.88 * share)))]);
    total.set(series.bytes);
    const latest = series.pace[0].at(-1) ?? 0;
    pace.set([series.pace[0].map((at) => at - latest), ...series.pace.slice(1)]);
    this.#values();
  }

  #legend() {
    this.values = TRANSPORTS.map(({ key, label }, i) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.style.setProperty('--own', `var(--${key})`);
      button.setAttribute('aria-pressed', 'true');
      button.title = 'Show or hide in the plots';
      const value = document.createElement('span');
      button.append(document.createElement('i'), label, ' ', value);
      button.onclick = () => {
        this.shown[i] = !this.shown[i];
        button.setAttribute('aria-pressed', String(this.shown[i]));
        this.charts.forEach((chart) => chart.plot?.setSeries(i + 1, { show: this.shown[i] }));
      };
      document.getElementById('legend').append(button);
      return value;
    });
  }

  #values() {
    const [delays] = this.charts;
    const columns = delays.data;
    this.values.forEach((value, i) => {
      const column = columns[i + 1] ?? [];
      const last = column.findLast((point) => point !== null);
      value.textContent = last === undefined ? '' : ms(last);
    });
  }
}

/** One plot: created again when the theme changes, resized with its box, with values under the pointer. */
class Chart {
  constructor(id, plots, options) {
    this.box = document.getElementById(id);
    this.plots = plots;
    this.options = options;
    this.data = [[], ...TRANSPORTS.map(() => [])];
    new ResizeObserver(() => this.#size()).observe(this.box);
    this.rebuild();
  }

  set(data) {
    this.data = data;
    this.plot?.setData(data);
  }

  rebuild() {
    this.plot?.destroy();
    const { clientWidth: width, clientHeight: height } = this.box;
    const options = this.options();
    options.series = [{}, ...options.series.map((one, i) => ({ ...one, show: this.plots.shown[i] }))];
    options.plugins = [...(options.plugins ?? []), tip(this.box, options.tell)];
    this.plot = new uPlot({ width: width || 300, height: height || 200, ...options }, this.data, this.box);
  }

  #size() {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (width && height) this.plot?.setSize({ width, height });
  }
}

const base = () => ({
  legend: { show: false },
  cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
  padding: [8, 14, 0, 0],
});

const axis = (more) => ({
  font: FONT,
  stroke: ink.muted,
  grid: { stroke: ink.rule, width: 1 },
  ticks: { show: false },
  gap: 6,
  ...more,
});

const stroke = (more) => TRANSPORTS.map(({ label }, i) => ({
  label,
  stroke: ink.transports[i],
  width: 1.75,
  points: { show: false },
  ...more,
}));

const ago = (second) => (second > -1 ? 'now' : `−${Math.round(-second)} s`);
const clock = (second) => (second < 60 ? `${Math.round(second)} s` : `${Math.floor(second / 60)}:${String(Math.round(second % 60)).padStart(2, '0')}`);
const DECADES = [0.1, 1, 10, 100, 1000, 10_000, 100_000];
const decade = (value) => (value >= 1000 ? `${value / 1000} s` : `${value} ms`);
const decades = (axis) => ({
  ...axis,
  splits: (_, i, least, most) => DECADES.filter((value) => value >= least * 0.99 && value <= most * 1.01),
  values: (_, at) => at.map(decade),
});

/** Draws each event as a dot and medians as lines, on a logarithmic scale. */
const delay = (plots) => () => ({
  ...base(),
  scales: {
    x: { time: false, range: [-SECONDS, 0] },
    y: { distr: 3, range: (_, low, high) => [FLOOR_MS, 10 ** Math.ceil(Math.log10(Math.max(1000, high ?? 0)))] },
  },
  axes: [
    axis({ size: 26, incrs: SECOND_STEPS, space: 64, values: (_, at) => at.map(ago), grid: { show: false } }),
    decades(axis({ size: 54 })),
  ],
  series: stroke(),
  hooks: { drawAxes: [(plot) => dots(plot, plots)] },
  tell: ms,
});

function dots(plot, { series, now, shown }) {
  const { ctx, bbox } = plot;
  if (!now) return;
  const size = 2 * devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  series.delays.forEach((delays, i) => {
    if (!shown[i]) return;
    ctx.fillStyle = faint(ink.transports[i], 0.38);
    // At high rates only every k-th dot is drawn.
    let among = 0;
    delays.since(now - SECONDS * 1000, () => among++);
    const every = Math.ceil(among / MOST_DOTS);
    let k = 0;
    delays.since(now - SECONDS * 1000, (at, late) => {
      if (k++ % every) return;
      const x = plot.valToPos((at - now) / 1000, 'x', true);
      ctx.fillRect(x - size / 2, plot.valToPos(late, 'y', true) - size / 2, size, size);
    });
  });
  ctx.restore();
}

/** Draws a filled row for each transport. */
const spread = () => () => ({
  ...base(),
  cursor: { show: false },
  scales: { x: { time: false, distr: 3, range: [FLOOR_MS, 1e5] }, y: { range: [0, TRANSPORTS.length] } },
  axes: [
    decades(axis({ size: 26 })),
    axis({
      size: 76,
      grid: { show: false },
      splits: () => TRANSPORTS.map((_, i) => i),
      values: () => TRANSPORTS.map(({ short }) => short).reverse(),
    }),
  ],
  series: stroke().map((one, i) => ({
    ...one,
    width: 1.5,
    fill: faint(ink.transports[i], 0.28),
    fillTo: () => TRANSPORTS.length - 1 - i,
    paths: uPlot.paths.spline(),
  })),
});

const lines = ({ x, y, most, step }) => () => ({
  ...base(),
  scales: {
    x: { time: false, range: (_, low, high) => (most === null ? [0, Math.max(30, high ?? 0)] : [-REQUEST_SECONDS, 0]) },
    y: { range: (_, low, high) => [0, Math.max(most ?? 1000, (high ?? 0) * 1.08)] },
  },
  axes: [
    axis({ size: 26, incrs: SECOND_STEPS, space: 64, values: (_, at) => at.map(x), grid: { show: false } }),
    axis({ size: 54, values: (_, at) => at.map(y) }),
  ],
  series: stroke(step ? { paths: uPlot.paths.stepped({ align: -1 }) } : {}),
  tell: y,
});

/** Shows the values under the pointer beside it. */
function tip(box, tell) {
  const note = document.createElement('div');
  note.className = 'tip';
  return {
    hooks: {
      init: (plot) => plot.over.append(note),
      setCursor: (plot) => {
        const { idx, left } = plot.cursor;
        const there = tell && idx != null && left >= 0;
        note.hidden = !there;
        if (!there) return;
        note.replaceChildren(...TRANSPORTS.flatMap(({ label }, i) => {
          const value = plot.data[i + 1]?.[idx];
          if (value == null || !plot.series[i + 1].show) return [];
          const row = document.createElement('p');
          const swatch = document.createElement('i');
          swatch.style.background = ink.transports[i];
          row.append(swatch, `${label} `, Object.assign(document.createElement('b'), { textContent: tell(value) }));
          return row;
        }));
        note.classList.toggle('left', left > box.clientWidth * 0.5);
        note.style.left = `${left}px`;
      },
    },
  };
}
