// Colours, numbers, and drawing that becomes pixels or SVG.

const HUES = {
  light: ["#204f98", "#c8551b", "#0b7a5b", "#a63d7f", "#8a6a00", "#3a8fc2", "#6b4fa3", "#5a6570"],
  dark: ["#f7913d", "#5db4f0", "#4fcf9e", "#ee8fc2", "#e6cf4a", "#b79cf0", "#ff7d6b", "#b9c1cc"],
};

/** Bytes that are written in base64, or come as a view of a buffer. */
const bytesOf = (data) => {
  if (typeof data !== "string") return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const text = atob(data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
};

const DIGITS = { share: 1 };

const percent = (value, digits = DIGITS.share) => `${(100 * value).toFixed(digits)} %`;

const times = (value) =>
  value === null ? "" : `${value >= 9.95 ? Math.round(value).toLocaleString("en") : value.toFixed(1)} ×`;

/** The colours of the page as it is now, light or dark. */
class Palette {
  /** `table` holds 256 colours in base64; the others are those of the page's `style`. */
  constructor(table, dark, style) {
    const bytes = bytesOf(table);
    const value = (name) => style.getPropertyValue(`--${name}`).trim();
    this.pixels = Uint32Array.from(
      { length: 256 },
      (_, i) => 0xff000000 | (bytes[3 * i + 2] << 16) | (bytes[3 * i + 1] << 8) | bytes[3 * i],
    );
    this.css = Array.from({ length: 256 }, (_, i) => `rgb(${bytes[3 * i]} ${bytes[3 * i + 1]} ${bytes[3 * i + 2]})`);
    this.light = Array.from(
      { length: 256 },
      (_, i) => 0.2126 * bytes[3 * i] + 0.7152 * bytes[3 * i + 1] + 0.0722 * bytes[3 * i + 2] > 128,
    );
    this.dark = dark;
    this.hues = HUES[dark ? "dark" : "light"];
    for (const name of ["paper", "card", "ink", "soft", "line", "frame", "accent", "wash"]) this[name] = value(name);
  }

  step(share) {
    return share <= 0 ? 0 : share >= 1 ? 255 : Math.round(255 * share);
  }

  colour(share) {
    return this.css[this.step(share)];
  }

  text(share) {
    return this.light[this.step(share)] ? "#12121f" : "#ffffff";
  }
}

/** Draw the scale of colours in an element. */
function paintRamp(element, colours) {
  const steps = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((i) => colours.css[i]);
  element.style.background = `linear-gradient(90deg, ${steps.join(", ")})`;
}

/** Call `see(dark, printed)` now and whenever the reader's wish changes; paper is light. */
function watchTheme(element, see) {
  const root = element.getRootNode().host ?? document.documentElement;
  const wish = window.matchMedia("(prefers-color-scheme: dark)");
  const say = (printed) => {
    root.classList.toggle("printed", printed);
    see(wish.matches && !printed, printed);
  };
  wish.addEventListener("change", () => say(false));
  window.addEventListener("beforeprint", () => say(true));
  window.addEventListener("afterprint", () => say(false));
  say(false);
}

/** Where a weight is on the scale that ends at `top`; a logarithmic one begins at a thousandth of it. */
const scale = (top, log) =>
  log ? (value) => (value * 1000 <= top ? 0 : 1 + Math.log10(value / top) / 3) : (value) => (top ? value / top : 0);

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Noto Sans", sans-serif';

/** Set a canvas to `width` × `height` CSS pixels and return a context that draws in these. */
function canvasContext(canvas, width, height) {
  const ratio = Math.max(1, window.devicePixelRatio || 1);
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return new Pixels(context);
}

/** Two canvases, one over the other: what is pointed at is drawn without the rest. */
class Layers {
  constructor(label) {
    this.under = make("canvas", { "aria-hidden": "true" });
    this.top = make("canvas", { class: "top", tabindex: "0", role: "img", "aria-label": label });
    this.element = make("div", { class: "layers" }, this.under, this.top);
  }

  base(width, height) {
    return canvasContext(this.under, width, height);
  }

  over(width, height) {
    return canvasContext(this.top, width, height);
  }
}

/** What the pictures are drawn with; `Svg` understands the same. */
class Pixels {
  constructor(context) {
    this.context = context;
  }

  box(x, y, width, height, fill, stroke = null, line = 1) {
    const c = this.context;
    if (fill) {
      c.fillStyle = fill;
      c.fillRect(x, y, width, height);
    }
    if (stroke) {
      c.strokeStyle = stroke;
      c.lineWidth = line;
      c.strokeRect(x, y, width, height);
    }
  }

  /** Curves between two columns, of one look: each is [y0, y1]. */
  curves(x0, x1, ends, stroke, line, opacity) {
    const c = this.context;
    const middle = (x0 + x1) / 2;
    c.globalAlpha = opacity;
    c.strokeStyle = stroke;
    c.lineWidth = line;
    c.beginPath();
    for (const [y0, y1] of ends) {
      c.moveTo(x0, y0);
      c.bezierCurveTo(middle, y0, middle, y1, x1, y1);
    }
    c.stroke();
    c.globalAlpha = 1;
  }

  /** Text at a place, turned by degrees; a `halo` of that colour covers what is behind it. */
  text(text, x, y, { fill, size = 12, align = "left", bold = false, turn = 0, halo = null }) {
    const c = this.context;
    c.save();
    c.translate(x, y);
    if (turn) c.rotate((turn * Math.PI) / 180);
    c.font = `${bold ? 600 : 400} ${size}px ${FONT}`;
    c.fillStyle = fill;
    c.textAlign = align;
    c.textBaseline = "middle";
    if (halo) {
      c.strokeStyle = halo;
      c.lineWidth = 5;
      c.lineJoin = "round";
      c.strokeText(text, 0, 0);
    }
    c.fillText(text, 0, 0);
    c.restore();
  }

  image(values, wide, high, x, y, width, height, colours) {
    const picture = new OffscreenCanvas(wide, high);
    const context = picture.getContext("2d");
    const image = context.createImageData(wide, high);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < values.length; i++) pixels[i] = colours.pixels[colours.step(values[i])];
    context.putImageData(image, 0, 0);
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(picture, x, y, width, height);
  }
}

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

/** An element with attributes and children; text is text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}
