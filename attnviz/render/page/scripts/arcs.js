// The same weights as lines: queries left, keys right.

const ARCS = { label: 12, gap: 7, least: 13, cut: 96 };

/** More lines than these could not be told apart. */
const MOST_LINES = 2000;

/** In so many steps lines are told apart by their weight. */
const LEVELS = 12;

class Arcs {
  constructor(page) {
    this.page = page;
    this.layers = new Layers("Lines from each word to what it looks at");
    this.element = make("div", { class: "arcs" }, this.layers.element);
    const { top } = this.layers;
    top.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") page.state.hover(this.at(event.offsetX, event.offsetY));
    });
    top.addEventListener("pointerleave", () => page.state.hover(null));
    top.addEventListener("click", (event) => {
      const found = this.at(event.offsetX, event.offsetY);
      if (found) page.state.pinWord(found.query ?? found.key, found.query === undefined ? "key" : "query", false);
    });
  }

  /** All lines that are drawn, the weakest first. */
  fill() {
    const { view, state, grid } = this.page;
    const { cells } = grid;
    this.lines = [];
    this.count = 0;
    this.total = 0;
    const [r0, r1, c0, c1] = grid.seen;
    const first = (units, from) => units[from];
    const last = (units, end, step, count) =>
      end < units.length ? units[end] : Math.min(count, units[units.length - 1] + step);
    this.rows = [first(cells.rows, r0), last(cells.rows, r1, cells.down, view.queries.count)];
    this.columns = [first(cells.columns, c0), last(cells.columns, c1, cells.across, view.keys.count)];
    if (this.mixed) this.add(null, 0);
    else for (const [hue, head] of state.shown.entries()) this.add(head, hue);
    this.lines.sort((a, b) => a.weight - b.weight);
    if (this.lines.length > MOST_LINES) this.lines = this.lines.slice(-MOST_LINES);
  }

  /** Whether there are too many heads for a hue each: then the lines are those of their mean. */
  get mixed() {
    return this.page.state.shown.length > HUES.light.length && this.page.view.map.whole;
  }

  /** The links of a head, or of the mean of all that are shown. */
  add(head, hue) {
    const { view, state } = this.page;
    const m = view.keys.count;
    const matrix = view.map.whole ? (head === null ? view.mean(state.shown) : view.matrix(head)) : null;
    for (const query of view.rows) {
      const see = (key, weight) => {
        this.total++;
        if (weight < state.least) return;
        this.count++;
        const inside = query >= this.rows[0] && query < this.rows[1] && key >= this.columns[0] && key < this.columns[1];
        if (inside) this.lines.push({ query, key, weight, hue });
      };
      if (matrix) for (const key of view.columns) see(key, matrix[query * m + key]);
      else view.map.links(head, query, see);
    }
  }

  plan(width, height) {
    const { view } = this.page;
    const units = (all, [from, to]) => all.filter((i) => i >= from && i < to);
    const rows = units(view.rows, this.rows);
    const columns = units(view.columns, this.columns);
    const side = (axis, some) =>
      Math.min(ARCS.cut, Math.max(24, ...some.slice(0, 500).map((i) => 1.08 * textWidth(axis.labels[i], ARCS.label)))) +
      ARCS.gap;
    const top = 14;
    const place = (some) =>
      new Map(some.map((unit, i) => [unit, top + ((height - 2 * top) * (i + 0.5)) / some.length]));
    return {
      width,
      height,
      rows,
      columns,
      left: side(view.queries, rows),
      right: width - side(view.keys, columns),
      y: [place(rows), place(columns)],
      every: [rows, columns].map((some) => Math.max(1, Math.ceil((ARCS.least * some.length) / (height - 2 * top)))),
    };
  }

  draw(width, height) {
    this.now = this.plan(width, height);
    this.labels(this.layers.base(width, height));
    this.mark();
  }

  labels(draw) {
    const { colours } = this.page;
    const { rows, columns, every } = this.now;
    for (const [side, units] of [rows, columns].entries())
      for (let i = 0; i < units.length; i += every[side]) this.label(draw, side, units[i], { fill: colours.ink });
  }

  label(draw, side, unit, how) {
    const { view } = this.page;
    const { left, right, y } = this.now;
    const axis = side ? view.keys : view.queries;
    const text = fitted(axis.labels[unit], ARCS.label, ARCS.cut);
    const at = y[side].get(unit);
    if (at !== undefined)
      draw.text(text, side ? right + ARCS.gap : left - ARCS.gap, at, {
        size: ARCS.label,
        align: side ? "left" : "right",
        ...how,
      });
  }

  mark() {
    if (this.now) this.markOn(this.layers.over(this.now.width, this.now.height));
  }

  markOn(draw) {
    const { state, colours, grid } = this.page;
    const { left, right, y } = this.now;
    const { query, key } = state.at;
    const heads = this.mixed ? 1 : state.shown.length;
    const { top } = grid.on;
    const any = query !== null || key !== null;
    const lit = (line) => (query === null || line.query === query) && (key === null || line.key === key);
    const near = (line) => line.query === query || line.key === key;
    // Lines of one look are drawn at once: a few looks, from the faintest to the strongest.
    const looks = new Map();
    for (const line of this.lines) {
      const ends = [y[0].get(line.query), y[1].get(line.key)];
      if (ends.includes(undefined)) continue;
      const level = Math.min(LEVELS, Math.ceil((LEVELS * line.weight) / Math.max(top, 1e-9)));
      const faint = !any || lit(line) ? 2 : near(line) ? 1 : 0;
      const look = (faint * (LEVELS + 1) + level) * 8 + (line.hue % 8);
      if (!looks.has(look)) looks.set(look, []);
      looks.get(look).push(ends);
    }
    for (const look of [...looks.keys()].sort((a, b) => a - b)) {
      const [faint, strength] = [Math.floor(look / 8 / (LEVELS + 1)), (Math.floor(look / 8) % (LEVELS + 1)) / LEVELS];
      const colour = heads > 1 ? colours.hues[look % 8] : colours.accent;
      const opacity = ((0.15 + 0.85 * strength) * [0.12, 0.4, 1][faint]) / (any ? 1 : heads);
      draw.curves(left, right, looks.get(look), colour, 0.8 + 3.2 * strength, Math.max(0.04, opacity));
    }
    if (query !== null) this.lift(draw, 0, query);
    if (key !== null) this.lift(draw, 1, key);
  }

  /** A label that stands out, though others may be left out around it. */
  lift(draw, side, unit) {
    const { colours } = this.page;
    const { left, right, y } = this.now;
    const at = y[side].get(unit);
    if (at === undefined) return;
    draw.box(side ? right + 2 : 0, at - 8, (side ? this.now.width - right : left) - 2, 16, colours.wash);
    this.label(draw, side, unit, { fill: colours.ink, bold: true });
  }

  /** The word at a place. */
  at(x, y) {
    if (!this.now) return null;
    const { left, right, rows, columns, height } = this.now;
    const side = x < left ? 0 : x > right ? 1 : null;
    if (side === null) return null;
    const some = side ? columns : rows;
    const i = Math.floor(((y - 14) / (height - 28)) * some.length);
    if (i < 0 || i >= some.length) return null;
    return side ? { key: some[i] } : { query: some[i] };
  }
}
