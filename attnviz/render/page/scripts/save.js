// What is on the screen as a picture, and text for the clipboard.

/** Draws as `Pixels` does, and makes SVG of it. */
class Svg {
  constructor() {
    this.parts = [];
  }

  escape(text) {
    return String(text).replace(
      /[&<>"]/g,
      (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[letter],
    );
  }

  move(x, y, drawing) {
    this.parts.push(`<g transform="translate(${x} ${y})">`);
    drawing(this);
    this.parts.push("</g>");
  }

  box(x, y, width, height, fill, stroke = null, line = 1) {
    const n = (value) => +value.toFixed(2);
    const edge = stroke ? ` stroke="${this.escape(stroke)}" stroke-width="${line}"` : "";
    this.parts.push(
      `<rect x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" fill="${this.escape(fill ?? "none")}"${edge}/>`,
    );
  }

  curves(x0, x1, ends, stroke, line, opacity) {
    const n = (value) => +value.toFixed(2);
    const middle = n((x0 + x1) / 2);
    const path = ends.map(([y0, y1]) => `M${n(x0)} ${n(y0)}C${middle} ${n(y0)} ${middle} ${n(y1)} ${n(x1)} ${n(y1)}`);
    this.parts.push(
      `<path d="${path.join("")}" fill="none" stroke="${this.escape(stroke)}" stroke-width="${n(line)}" opacity="${n(opacity)}"/>`,
    );
  }

  text(text, x, y, { fill, size = 12, align = "left", bold = false, turn = 0, halo = null }) {
    const anchor = { left: "start", right: "end", center: "middle" }[align];
    const turned = turn ? ` transform="rotate(${turn} ${x} ${y})"` : "";
    const around = halo
      ? ` stroke="${this.escape(halo)}" stroke-width="5" stroke-linejoin="round" paint-order="stroke"`
      : "";
    this.parts.push(
      `<text x="${+x.toFixed(2)}" y="${+y.toFixed(2)}" font-size="${size}" font-weight="${bold ? 600 : 400}" text-anchor="${anchor}" dominant-baseline="central" fill="${this.escape(fill)}"${around}${turned}>${this.escape(text)}</text>`,
    );
  }

  image(values, wide, high, x, y, width, height, colours) {
    const canvas = document.createElement("canvas");
    const ratio = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    new Pixels(context).image(values, wide, high, 0, 0, width, height, colours);
    this.parts.push(`<image x="${x}" y="${y}" width="${width}" height="${height}" href="${canvas.toDataURL()}"/>`);
  }

  whole(width, height, background) {
    const font = this.escape(FONT);
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="${font}"><rect width="100%" height="100%" fill="${this.escape(background)}"/>${this.parts.join("\n")}</svg>\n`;
  }
}

Pixels.prototype.move = function move(x, y, drawing) {
  this.context.save();
  this.context.translate(x, y);
  drawing(this);
  this.context.restore();
};

/** Draw title, heatmap and lines side by side; the size is returned. */
function drawAll(page, draw) {
  const { grid, arcs, colours, state, model } = page;
  const beside = arcs.now.width > 0;
  const names = state.heads.map((head) => state.headName(head)).join(", ");
  const wide = grid.now.width;
  draw.text(`${names} · ${model.model}`, 16, 22, { fill: colours.ink, size: 14, bold: true });
  draw.text(grid.readout.textContent, 16, 42, { fill: colours.soft, size: 12 });
  draw.move(16, 58, (inner) => {
    grid.paint(inner, inner instanceof Svg ? 10000 : GRID.boxes);
    grid.markOn(inner);
  });
  if (beside)
    draw.move(32 + wide, 58, (inner) => {
      arcs.labels(inner);
      arcs.markOn(inner);
    });
  return {
    width: 48 + wide + (beside ? arcs.now.width : 0),
    height: 74 + Math.max(grid.height, beside ? arcs.now.height : 0),
  };
}

function pictureSvg(page) {
  const draw = new Svg();
  const { width, height } = drawAll(page, draw);
  return draw.whole(width, height, page.colours.card);
}

function picturePng(page) {
  const { width, height } = drawAll(page, new Svg());
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [2 * width, 2 * height];
  const context = canvas.getContext("2d");
  context.scale(2, 2);
  context.fillStyle = page.colours.card;
  context.fillRect(0, 0, width, height);
  drawAll(page, new Pixels(context));
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function download(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** A word as a shell reads it. */
const quoted = (word) =>
  /^[\p{L}\p{N}_.:-]+$/u.test(word) && !word.startsWith("-") ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** The command that shows in a terminal what the page shows. */
function commandOf(page) {
  const { state, view, model } = page;
  if (!model.command) return "";
  const { layers, heads } = state.facts;
  const parts = [model.command];
  const rows = [...new Set(state.heads.map((head) => layers[Math.floor(head / heads)]))];
  const columns = [...new Set(state.heads.map((head) => head % heads))];
  parts.push(`--layer ${rows.join(",")} --head ${columns.join(",")}`);
  if (model.maps.length > 1 && state.facts.name !== "cross") parts.push(`--map ${state.facts.name}`);
  if (state.unit === "token" && !state.facts.long) parts.push("--tokens");
  if (state.special) parts.push("--special");
  if (state.query !== null) parts.push(`--token ${quoted(view.queries.name(state.query))}`);
  return parts.join(" ");
}
