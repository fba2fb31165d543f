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
