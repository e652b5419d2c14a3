/**
 * Colours and number formats. The style sheet defines the colours; canvases read them from it, again when the theme
 * changes.
 */
import { TRANSPORTS } from './transports/index.js';

export const ink = {};

const probe = document.createElement('i');
probe.hidden = true;

export function readInk() {
  document.body.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  for (const name of ['paper', 'text', 'muted', 'rule', 'wait', 'missing', 'replayed']) ink[name] = read(name);
  ink.transports = TRANSPORTS.map(({ key }) => read(key));
  probe.remove();
}

/** Calls `again` when the colours may have changed. */
export function onInk(again) {
  readers.push(again);
}

const readers = [];
const changed = () => (readInk(), readers.forEach((again) => again()));

/** Sets up the theme button, which switches between system, light and dark. */
export function theme(button) {
  const names = { auto: 'Auto', light: 'Light', dark: 'Dark' };
  const said = { auto: 'follow the system', light: 'light', dark: 'dark' };
  const set = (mode) => {
    if (mode === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = mode;
    button.textContent = names[mode];
    button.setAttribute('aria-label', `Colours: ${said[mode]}`);
    button.dataset.mode = mode;
    remember('theme', mode);
    changed();
  };
  button.onclick = () => set({ auto: 'light', light: 'dark', dark: 'auto' }[button.dataset.mode]);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed);
  const asked = new URLSearchParams(location.search).get('theme');
  set([asked, recall('theme')].find((mode) => mode in names) ?? 'auto');
}

/** Returns a transparent form of a colour, for canvases. */
export const faint = (colour, share) => `color-mix(in srgb, ${colour} ${Math.round(share * 100)}%, transparent)`;

export const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** Resizes a canvas to its box, in device pixels. Returns its context with CSS pixels as the unit. */
export function fit(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  const context = canvas.getContext('2d');
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height, scale };
}

export const count = (n) => n.toLocaleString('en');

export function ms(value) {
  if (value < 0.1) return '< 0.1 ms';
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 999.5) return `${Math.round(value)} ms`;
  return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
}

export function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) (value /= 1000), unit++;
  return `${unit && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Values that the browser stores for this page, if storage is allowed. */
export function recall(name) {
  try {
    return localStorage.getItem(`lab.${name}`);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`lab.${name}`, value);
  } catch {
    // Without storage only the name and the theme are lost.
  }
}
