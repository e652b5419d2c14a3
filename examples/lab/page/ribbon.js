import { LIVE, REPLAYED } from './tally.js';
import { fit, ink } from './ink.js';

const SPAN_SECONDS = 20;
const LEAST_SPAN = 100;

/** States of a number. Of several numbers under one pixel, the worst state is shown. */
export const HERE = 0, FILLED = 1, ON_ITS_WAY = 2, MISSING = 3, BEFORE = -1;

/** Returns the state of number `n` in a panel. `head` is the last published number. */
export function look(track, n, connected) {
  if (track.first === null || n < track.first) return BEFORE;
  const mark = track.mark(n);
  if (mark === LIVE) return HERE;
  if (mark === REPLAYED) return FILLED;
  return n < track.last || !connected ? MISSING : ON_ITS_WAY;
}

/** Number of latest numbers that the ribbon shows. */
export const span = (rate) => Math.max(LEAST_SPAN, Math.round(rate * SPAN_SECONDS));

/** Returns the counts of each state in the ribbon, for the caption and for tests. */
export function survey(track, head, rate, connected) {
  const seen = { here: 0, filled: 0, waiting: 0, missing: 0 };
  for (let n = Math.max(1, head - span(rate) + 1); n <= head; n++) {
    const name = ['here', 'filled', 'waiting', 'missing'][look(track, n, connected)];
    if (name) seen[name]++;
  }
  return seen;
}

/** Draws a panel's latest numbers, newest at the right. `seams` are numbers before which the server sent a gap. */
export function draw(canvas, { track, head, rate, connected, colour, seams }) {
  const { context, width, height, scale } = fit(canvas);
  const shown = span(rate);
  const first = head - shown + 1;
  const step = Math.max(1, width / shown);
  const columns = Math.floor(width / step);
  context.fillStyle = ink.rule;
  context.fillRect(0, height - 1, width, 1);
  for (let column = 0; column < columns; column++) {
    const from = first + Math.floor((column * shown) / columns);
    const to = first + Math.floor(((column + 1) * shown) / columns);
    let worst = BEFORE;
    for (let n = from; n < to; n++) worst = Math.max(worst, look(track, n, connected));
    if (worst === BEFORE) continue;
    // Edges lie on device pixels: otherwise neighbours blur into a false pattern.
    const left = Math.round(column * step * scale) / scale;
    const right = Math.round((column + 1) * step * scale) / scale;
    const wide = right - left - (step > 2.5 ? 1 : 0);
    if (worst === HERE) mark(context, colour, left, 0, wide, height - 2);
    else if (worst === FILLED) mark(context, ink.replayed, left, 0, wide, height - 2);
    else if (worst === MISSING) mark(context, ink.missing, left, height / 2 - 1, wide, height / 2 - 1);
    else mark(context, ink.wait, left, height - 6, wide, 4);
  }
  context.fillStyle = ink.text;
  for (const seam of seams) {
    if (seam >= first) context.fillRect(Math.round(((seam - first) / shown) * width) - 1, 0, 2, height);
  }
}

function mark(context, colour, left, top, width, height) {
  context.fillStyle = colour;
  context.fillRect(left, top, width, height);
}
