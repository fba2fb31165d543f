// Weights as text, on a scale, in many small pictures, and labels that fit.

const DIGITS = { share: 1 };

const percent = (value, digits = DIGITS.share) => `${(100 * value).toFixed(digits)} %`;

/** How the weights of a map are written: in percent, or as numbers where rows do not sum to 1. */
class Amounts {
  /** `measure` says what they are, and by what the page has them divided; none: they are attention. */
  constructor(measure) {
    Object.assign(this, { share: true, most: 1, noun: "attention" }, measure);
    this.digits = this.most >= 10 ? 1 : this.most >= 1 ? 2 : this.most >= 0.1 ? 3 : 4;
  }

  write(value, digits) {
    return this.share ? percent(value, digits) : (value * this.most).toFixed(this.digits);
  }

  /** In a cell, where there is room for two or three characters. */
  short(value) {
    if (this.share) return value < 0.005 ? "" : String(Math.round(100 * value));
    const text = (value * this.most).toFixed(Math.max(0, this.digits - 1));
    return Number(text) ? text : "";
  }
}

const times = (value) =>
  value === null ? "" : `${value >= 9.95 ? Math.round(value).toLocaleString("en") : value.toFixed(1)} ×`;

/** Where a weight is on the scale that ends at `top`; a logarithmic one begins at a thousandth of it. */
const scale = (top, log) =>
  log ? (value) => (value * 1000 <= top ? 0 : 1 + Math.log10(value / top) / 3) : (value) => (top ? value / top : 0);

/** Many small pictures that are put on a canvas at once, which is faster than one by one. */
class Mosaic {
  constructor(canvas, width, colours) {
    this.context = canvas.getContext("2d");
    this.ratio = canvas.width / width;
    this.wide = canvas.width;
    this.image = this.context.createImageData(canvas.width, canvas.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.colours = colours;
  }

  /** Draw `values` (rows × columns) as a square; `place` says where each is on the scale. */
  add({ values, rows, columns }, x, y, size, place) {
    const { ratio, wide, pixels, colours } = this;
    const steps = values.map((value) => colours.step(place(value)));
    const [left, top, side] = [Math.round(x * ratio), Math.round(y * ratio), Math.floor(size * ratio)];
    for (let j = 0; j < side; j++) {
      const row = Math.floor((j * rows) / side) * columns;
      const start = (top + j) * wide + left;
      for (let i = 0; i < side; i++) pixels[start + i] = colours.pixels[steps[row + Math.floor((i * columns) / side)]];
    }
  }

  put() {
    this.context.putImageData(this.image, 0, 0);
  }
}

const measuring = document.createElement("canvas").getContext("2d");

const widths = new Map();

function textWidth(text, size) {
  const name = `${size} ${text}`;
  let width = widths.get(name);
  if (width === undefined) {
    if (widths.size > 50000) widths.clear();
    measuring.font = `400 ${size}px ${FONT}`;
    width = measuring.measureText(text).width;
    widths.set(name, width);
  }
  return width;
}

/** A label that fits into `width`, with an ellipsis where it is cut. */
function fitted(text, size, width) {
  if (textWidth(text, size) <= width) return text;
  const letters = [...text];
  let [low, high] = [0, letters.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (textWidth(`${letters.slice(0, middle).join("")}…`, size) <= width) low = middle;
    else high = middle - 1;
  }
  return `${letters.slice(0, low).join("")}…`;
}

function largest(values) {
  let most = 0;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  return most;
}

/** The largest of each `down` × `across` values. */
function pooled(values, rows, columns, down, across) {
  if (down === 1 && across === 1) return { values, rows, columns };
  const [high, wide] = [Math.ceil(rows / down), Math.ceil(columns / across)];
  const found = new Float32Array(high * wide);
  for (let r = 0; r < rows; r++) {
    const at = Math.floor(r / down) * wide;
    for (let column = 0, c = 0; column < wide; column++) {
      let most = found[at + column];
      for (const end = Math.min(columns, c + across); c < end; c++) {
        const value = values[r * columns + c];
        if (value > most) most = value;
      }
      found[at + column] = most;
    }
  }
  return { values: found, rows: high, columns: wide };
}
