/**
 * Directions: strokes that say where a texture runs, and the field between them. A direction and its opposite are the
 * same, so that all averaging is done on double angles. The ink of a stroke is its angle: 256 steps for half a turn,
 * clockwise on screen from the x axis.
 *
 * The field is that of push and pull: what is painted is averaged into coarser and coarser grids, and these fill what
 * is not painted in finer ones (Gortler et al. 1996), each smoothed a little so that no grid is seen.
 */

const STEPS = 256;
const SMOOTHINGS = [2, 4]; // at the finest level, and at the others

const TABLE = Array.from({ length: STEPS }, (_, ink) => {
  const turn = (ink * 2 * Math.PI) / STEPS;
  return { x: Math.cos(turn), y: Math.sin(turn) };
});
const DOUBLE_X = Float32Array.from(TABLE, ({ x }) => x);
const DOUBLE_Y = Float32Array.from(TABLE, ({ y }) => y);

/** The ink of a direction (x right, y down) of any length and sign. */
export function inkOf(x, y) {
  return Math.round((Math.atan2(y, x) * STEPS) / Math.PI) & (STEPS - 1);
}

/** The ink of a double angle, given as a vector. */
export function inkOfDouble(x, y) {
  return Math.round((Math.atan2(y, x) * STEPS) / (2 * Math.PI)) & (STEPS - 1);
}

/** The double angle of an ink, as a unit vector. */
export function doubled(ink) {
  return TABLE[ink];
}

/** The colour of an ink: the hue goes round once for half a turn, red is along the x axis, as `guide` draws it. */
export function hue(ink) {
  const wave = (third) => 0.5 + 0.5 * Math.cos(2 * Math.PI * (ink / STEPS - third / 3));
  return [0, 1, 2].map((third) => Math.round(255 * (0.05 + 0.85 * wave(third))));
}

/**
 * The direction of each pixel, or of each square of `step` pixels, of planes of ink and cover.
 * @param {{width: number, height: number, ink: Uint8Array, cover: Uint8Array}} planes
 * @param {number} step
 * @returns {{width: number, height: number, step: number, x: Float32Array, y: Float32Array, weight: Float32Array}}
 *   unit vectors, and how much of each is painted
 */
export function dense(planes, step) {
  const finest = painted(planes, step);
  const weight = finest.weight.slice();
  filled(finest, SMOOTHINGS[0]);
  const { x, y } = finest;
  for (let i = 0; i < x.length; i++) {
    const length = Math.sqrt(x[i] * x[i] + y[i] * y[i]);
    const across = length > 1e-12 ? x[i] / length : 1;
    const sign = y[i] < 0 ? -1 : 1;
    x[i] = Math.sqrt(Math.max(0, (1 + across) / 2)); // the half of the angle
    y[i] = sign * Math.sqrt(Math.max(0, (1 - across) / 2));
  }
  return { width: finest.width, height: finest.height, step, x, y, weight };
}

/** Writes a field into the pixels (RGBA) of the picture that `control --orientation` reads. */
export function encoded(field, data) {
  for (let i = 0, at = 0; i < field.x.length; i++, at += 4) {
    data[at] = ((field.x[i] + 1) / 2) * 255;
    data[at + 1] = ((field.y[i] + 1) / 2) * 255;
    data[at + 2] = 128;
    data[at + 3] = 255;
  }
  return data;
}

/**
 * Draws a field as short lines; what is painted is drawn stronger than what follows from it.
 * @param {CanvasRenderingContext2D} context with the transform of the picture's pixels
 * @param {ReturnType<typeof dense>} field
 * @param {number} pixel a pixel of the page, in pixels of the picture
 */
export function drawGlyphs(context, field, pixel) {
  const [width, height] = [field.width * field.step, field.height * field.step];
  const pitch = Math.max(2, 18 * pixel);
  const [columns, rows] = [Math.max(1, Math.round(width / pitch)), Math.max(1, Math.round(height / pitch))];
  const strong = new Path2D(), faint = new Path2D();
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [x, y] = [((column + 0.5) * width) / columns, ((row + 0.5) * height) / rows];
      const at = Math.floor(y / field.step) * field.width + Math.floor(x / field.step);
      const path = field.weight[at] > 0.1 ? strong : faint;
      const [across, down] = [0.36 * pitch * field.x[at], 0.36 * pitch * field.y[at]];
      path.moveTo(x - across, y - down);
      path.lineTo(x + across, y + down);
    }
  }
  context.lineCap = "round";
  for (const [path, alpha] of [[faint, 0.65], [strong, 1]]) {
    for (const [colour, wide] of [[`rgb(0 0 0 / ${0.7 * alpha})`, 3.6], [`rgb(255 255 255 / ${alpha})`, 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = wide * pixel;
      context.stroke(path);
    }
  }
}

/** The finest grid: the sums of double angles of what is painted, each by its cover. */
function painted({ width, height, ink, cover }, step) {
  const grid = empty(Math.ceil(width / step), Math.ceil(height / step));
  for (let v = 0, i = 0; v < height; v++) {
    const row = Math.floor(v / step) * grid.width;
    for (let u = 0; u < width; u++, i++) {
      if (cover[i] === 0) continue;
      const at = step === 1 ? i : row + Math.floor(u / step);
      const share = cover[i] / 255;
      grid.x[at] += DOUBLE_X[ink[i]] * share;
      grid.y[at] += DOUBLE_Y[ink[i]] * share;
      grid.weight[at] += share;
    }
  }
  return averaged(grid);
}

function empty(width, height) {
  const plane = () => new Float32Array(width * height);
  return { width, height, x: plane(), y: plane(), weight: plane() };
}

/** Sums become means; one whole pixel among those of a square is as sure as all of them. */
function averaged(grid) {
  const { x, y, weight } = grid;
  for (let i = 0; i < x.length; i++) {
    if (weight[i] === 0) continue;
    x[i] /= weight[i];
    y[i] /= weight[i];
    weight[i] = Math.min(1, weight[i]);
  }
  return grid;
}

/** Push: a grid of half the size. */
function pushed(grid) {
  const coarse = empty(Math.ceil(grid.width / 2), Math.ceil(grid.height / 2));
  for (let v = 0, i = 0; v < grid.height; v++) {
    const row = (v >> 1) * coarse.width;
    for (let u = 0; u < grid.width; u++, i++) {
      const share = grid.weight[i];
      if (share === 0) continue;
      const at = row + (u >> 1);
      coarse.x[at] += grid.x[i] * share;
      coarse.y[at] += grid.y[i] * share;
      coarse.weight[at] += share;
    }
  }
  return averaged(coarse);
}

/** Pull: fill a grid where nothing is painted from coarser ones. Where nothing is painted at all, along the x axis. */
function filled(grid, smoothings) {
  if (grid.width === 1 && grid.height === 1) {
    if (grid.weight[0] === 0) grid.x[0] = 1;
    return;
  }
  const coarse = pushed(grid);
  filled(coarse, SMOOTHINGS[1]);
  const sure = { x: grid.x.slice(), y: grid.y.slice() };
  pull(grid, coarse);
  for (let n = 0; n < smoothings; n++) smooth(grid, sure);
}

/** Where a grid is not painted, take what lies between the cells of the coarser one. */
function pull(grid, coarse) {
  const { width, height, x, y, weight } = grid;
  for (let v = 0, i = 0; v < height; v++) {
    const nearer = (v >> 1) * coarse.width;
    const farther = Math.max(0, Math.min(coarse.height - 1, (v >> 1) + (v & 1 ? 1 : -1))) * coarse.width;
    for (let u = 0; u < width; u++, i++) {
      const rest = 1 - weight[i];
      if (rest === 0) continue;
      const near = u >> 1;
      const far = Math.max(0, Math.min(coarse.width - 1, near + (u & 1 ? 1 : -1)));
      const [a, b, c, d] = [nearer + near, nearer + far, farther + near, farther + far];
      const across = 0.5625 * coarse.x[a] + 0.1875 * (coarse.x[b] + coarse.x[c]) + 0.0625 * coarse.x[d];
      const down = 0.5625 * coarse.y[a] + 0.1875 * (coarse.y[b] + coarse.y[c]) + 0.0625 * coarse.y[d];
      x[i] = x[i] * weight[i] + across * rest;
      y[i] = y[i] * weight[i] + down * rest;
    }
  }
}

/** What is not painted becomes the mean of its neighbours, in place. */
function smooth({ width, height, x, y, weight }, sure) {
  for (let v = 0, i = 0; v < height; v++) {
    const [up, down] = [v > 0 ? -width : 0, v < height - 1 ? width : 0];
    for (let u = 0; u < width; u++, i++) {
      const share = weight[i];
      if (share === 1) continue;
      const [left, right] = [u > 0 ? -1 : 0, u < width - 1 ? 1 : 0];
      const rest = (1 - share) / 4;
      x[i] = sure.x[i] * share + (x[i + left] + x[i + right] + x[i + up] + x[i + down]) * rest;
      y[i] = sure.y[i] * share + (y[i + left] + y[i + right] + y[i + up] + y[i + down]) * rest;
    }
  }
}
