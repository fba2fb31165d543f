// The heads in hand as a heatmap: rows look, columns are looked at.

const GRID = { most: 40, tall: 620, gap: 6, bars: 40, foot: 34, slanted: 0.72, cut: 92, boxes: 6000, label: 12 };

class Grid extends Zoomed {
  constructor(page) {
    super(page);
    this.layers = new Layers("Heatmap");
    this.readout = make("p", { class: "readout", "aria-live": "polite" });
    this.legend = make("div", { class: "legend" });
    this.element = make("div", { class: "grid" }, this.layers.element, this.legend);
    this.listen();
  }

  listen() {
    const { top } = this.layers;
    const { state } = this.page;
    let from = null;
    top.addEventListener("pointerdown", (event) => {
      from = { x: event.offsetX, y: event.offsetY };
      this.band = null;
    });
    top.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch") return;
      if (from && event.buttons === 1 && Math.hypot(event.offsetX - from.x, event.offsetY - from.y) > 6) {
        this.band = [from.x, from.y, event.offsetX, event.offsetY];
        this.mark();
        return;
      }
      const found = this.at(event.offsetX, event.offsetY);
      state.hover(found && this.linkAt(found));
    });
    top.addEventListener("pointerleave", () => {
      from = this.band = null;
      state.hover(null);
    });
    top.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !this.part) return;
        event.preventDefault();
        const found = this.at(event.offsetX, event.offsetY);
        if (event.ctrlKey) this.zoomBy(event.deltaY < 0 ? 0.8 : 1.25, found);
        else this.pan(event.deltaY, event.deltaX);
      },
      { passive: false },
    );
    top.addEventListener("click", (event) => {
      from = null;
      if (this.band) {
        this.zoomTo(this.band);
        return;
      }
      const found = this.at(event.offsetX, event.offsetY);
      if (!found) return;
      const region = this.regionOf(found);
      if (region) {
        state.enlarge(region);
        return;
      }
      const { query, key } = this.linkAt(found);
      if (query !== null && key !== null) state.pinLink(query, key);
      else state.pinWord(query ?? key, query !== null ? "query" : "key", false);
    });
  }

  /** The parts of the map that may be enlarged to single cells. */
  get regions() {
    const { view, state } = this.page;
    return view.regions(state.shown).filter((region) => region.rows > 1 && region.columns > 1);
  }

  /** The region in which a cell of the pooled map lies. */
  regionOf({ row, column }) {
    if (this.region || row === null || column === null) return null;
    const { rows, columns, down, across } = this.cells;
    return this.regions.find(
      (each) =>
        each.query < rows[row] + down &&
        each.query + each.rows > rows[row] &&
        each.key < columns[column] + across &&
        each.key + each.columns > columns[column],
    );
  }

  /** The units of a place: of a cell of many units its strongest link, if one is kept. */
  linkAt({ row, column }) {
    const { view, state } = this.page;
    const { rows, columns, down, across } = this.cells;
    if (row === null || column === null)
      return { query: row === null ? null : rows[row], key: column === null ? null : columns[column] };
    if (down === 1 && across === 1) return { query: rows[row], key: columns[column] };
    let best = { query: rows[row], key: columns[column], weight: 0 };
    const [first, end] = [columns[column], columns[column] + across];
    for (let query = rows[row]; query < Math.min(rows[row] + down, view.queries.count); query++)
      for (const head of state.shown)
        view.map.links(head, query, (key, weight) => {
          if (key >= first && key < end && weight > best.weight) best = { query, key, weight };
        });
    return { query: best.query, key: best.key };
  }

  /** The heads, or what is shown of them, have changed. */
  fill() {
    const { view, state } = this.page;
    const region = this.regions.find(({ query, key }) => String([query, key]) === String(state.region));
    this.cells = region ? view.cellsOf(region) : view.cells(state.shown);
    if (region !== this.region) this.part = null;
    this.region = region;
    this.top = this.cells.top;
    const [rows, columns] = [this.cells.rows.length, this.cells.columns.length];
    if (this.part && (this.part[1] > rows || this.part[3] > columns)) this.part = null;
    this.unseen = view.unseen(state.shown);
    this.got = view.received(state.shown);
  }

  plan(width) {
    const { view } = this.page;
    const [r0, r1, c0, c1] = this.seen;
    const [rows, columns] = [r1 - r0, c1 - c0];
    const widest = (axis, units, most) => {
      const some = units.length > 400 ? units.filter((_, i) => i % Math.ceil(units.length / 400) === 0) : units;
      return Math.min(most, Math.max(20, ...some.map((i) => textWidth(axis.labels[i], GRID.label))));
    };
    const left = widest(view.queries, this.cells.rows.slice(r0, r1), GRID.cut) + 12;
    const high = widest(view.keys, this.cells.columns.slice(c0, c1), GRID.cut) * GRID.slanted + 16;
    const right = this.unseen ? GRID.bars + GRID.gap : 0;
    const over = Math.max(0, high * 0.8 - right); // the last labels lean out
    const room = Math.max(60, width - left - Math.max(right, over));
    const size = Math.min(GRID.most, room / columns, GRID.tall / rows);
    const wide = size * columns;
    const needed = Math.ceil(left + wide + Math.max(right, over) + 2);
    return { r0, r1, c0, c1, rows, columns, left, high, size, wide, tall: size * rows, width: Math.min(width, needed) };
  }

  get height() {
    return this.now.high + this.now.tall + GRID.gap + GRID.foot;
  }

  get on() {
    const { state, overview } = this.page;
    const top = state.shared && overview.done ? Math.max(...overview.tops, 1e-9) : this.top;
    return { place: scale(top, state.log), top };
  }

  draw(width) {
    this.now = this.plan(width);
    this.paint(this.layers.base(this.now.width, this.height));
    this.mark();
    this.say();
  }

  /** Draw cells, labels and bars with a canvas or as SVG. */
  paint(draw, boxes = GRID.boxes) {
    const { colours } = this.page;
    const { r0, r1, c0, c1, rows, columns, left, high, size, wide, tall } = this.now;
    const { place } = this.on;
    const values = this.part ? this.partOf(this.cells) : this.cells.values;
    if (values.length > boxes) {
      // Cells smaller than pixels would be dropped, so that the largest of some stands for all.
      const step = Math.ceil(1 / (size * (window.devicePixelRatio || 1)));
      const small = pooled(values, rows, columns, step, step);
      draw.image(small.values.map(place), small.columns, small.rows, left, high, wide, tall, colours);
    } else {
      const space = size >= 10 ? 1 : size >= 5 ? 0.5 : 0;
      for (let i = 0; i < values.length; i++) {
        const [r, c] = [Math.floor(i / columns), i % columns];
        draw.box(left + c * size, high + r * size, size - space, size - space, colours.colour(place(values[i])));
      }
    }
    draw.box(left - 0.5, high - 0.5, wide + 1, tall + 1, null, colours.line);
    const every = (room) => Math.max(1, Math.ceil(room / size));
    const label = { size: GRID.label, fill: colours.ink };
    for (let r = r0; r < r1; r += every(13)) this.rowLabel(draw, r, label);
    for (let c = c0; c < c1; c += every(17)) this.columnLabel(draw, c, label);
    this.bars(draw);
    this.writeValues(draw, place);
  }

  /** The values of the cells that are seen of an enlarged map. */
  partOf(cells) {
    const [r0, r1, c0, c1] = this.part;
    const all = cells.columns.length;
    const values = new Float32Array((r1 - r0) * (c1 - c0));
    for (let r = r0; r < r1; r++) values.set(cells.values.subarray(r * all + c0, r * all + c1), (r - r0) * (c1 - c0));
    return values;
  }

  /** The weights as numbers, where cells have room for them. */
  writeValues(draw, place) {
    const { colours, amounts } = this.page;
    const { r0, r1, c0, c1, left, high, size } = this.now;
    if (size < 26) return;
    for (let r = r0; r < r1; r++)
      for (let c = c0; c < c1; c++) {
        const value = this.cells.values[r * this.cells.columns.length + c];
        const share = place(value);
        const text = amounts.short(value);
        if (!text) continue;
        const fill = colours.text(share);
        draw.text(text, left + (c - c0 + 0.5) * size, high + (r - r0 + 0.5) * size, {
          fill,
          size: 10,
          align: "center",
        });
      }
  }

  rowLabel(draw, r, how) {
    const { view } = this.page;
    const { r0, left, high, size } = this.now;
    const text = fitted(view.queries.labels[this.cells.rows[r]], GRID.label, left - 12);
    draw.text(text, left - 7, high + (r - r0 + 0.5) * size, { ...how, align: "right" });
  }

  columnLabel(draw, c, how) {
    const { view } = this.page;
    const { c0, left, high, size } = this.now;
    const text = fitted(view.keys.labels[this.cells.columns[c]], GRID.label, GRID.cut);
    draw.text(text, left + (c - c0 + 0.5) * size - 2, high - 7, { ...how, turn: -45 });
  }

  /** Beside the rows what they give to units that are not shown, under the columns what these get. */
  bars(draw) {
    const { colours } = this.page;
    const { r0, r1, c0, c1, left, high, size, wide, tall } = this.now;
    const thick = Math.max(0.5, Math.min(size - 1, 10));
    if (this.unseen) {
      const x = left + wide + GRID.gap;
      for (let r = r0; r < r1; r++)
        draw.box(x, high + (r - r0 + 0.5) * size - thick / 2, GRID.bars * this.unseen[r], thick, colours.frame);
    }
    const most = Math.max(...this.cells.columns.map((i) => this.got[i]), 1e-9);
    const y = high + tall + GRID.gap;
    for (let c = c0; c < c1; c++) {
      const long = (GRID.foot - 6) * (this.got[this.cells.columns[c]] / most);
      draw.box(left + (c - c0 + 0.5) * size - thick / 2, y, thick, long, colours.accent);
    }
  }

  /** Mark the units that are pinned or pointed at. */
  mark() {
    if (!this.now) return;
    const draw = this.layers.over(this.now.width, this.height);
    this.markOn(draw);
    this.tell();
  }

  markOn(draw) {
    const { state, colours } = this.page;
    const { r0, r1, c0, c1, left, high, size, wide, tall } = this.now;
    const { query, key } = state.at;
    const row = query === null ? -1 : this.find(this.cells.rows, query, this.cells.down);
    const column = key === null ? -1 : this.find(this.cells.columns, key, this.cells.across);
    for (const region of this.region ? [] : this.regions) this.frame(draw, region);
    const bold = { size: GRID.label, bold: true, fill: colours.ink, halo: colours.card };
    if (row >= r0 && row < r1) {
      const y = high + (row - r0) * size;
      draw.box(left, y, wide, size, null, colours.accent, 1);
      this.rowLabel(draw, row, bold);
    }
    if (column >= c0 && column < c1) {
      draw.box(left + (column - c0) * size, high, size, tall, null, colours.accent, 1);
      this.columnLabel(draw, column, bold);
    }
    if (row >= r0 && row < r1 && column >= c0 && column < c1)
      draw.box(left + (column - c0) * size - 1, high + (row - r0) * size - 1, size + 2, size + 2, null, colours.ink, 2);
    if (this.band) {
      const [x0, y0, x1, y1] = this.band;
      draw.box(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0), null, colours.accent, 1.5);
    }
  }

  /** Frame a part of the pooled map that may be enlarged. */
  frame(draw, region) {
    const { colours } = this.page;
    const { r0, r1, c0, c1, left, high, size } = this.now;
    const { rows, columns, down, across } = this.cells;
    const place = (unit, first, step, from, to) => Math.min(to, Math.max(from, (unit - first) / step)) - from;
    const [y0, y1] = [region.query, region.query + region.rows].map((i) => size * place(i, rows[0], down, r0, r1));
    const [x0, x1] = [region.key, region.key + region.columns].map((i) => size * place(i, columns[0], across, c0, c1));
    if (x1 <= x0 || y1 <= y0) return;
    draw.box(left + x0 - 1.5, high + y0 - 1.5, x1 - x0 + 3, y1 - y0 + 3, null, colours.card, 4);
    draw.box(left + x0 - 1.5, high + y0 - 1.5, x1 - x0 + 3, y1 - y0 + 3, null, colours.ink, 1.5);
  }

  /** The cell that has a unit, or −1. */
  find(firsts, unit, step) {
    if (step === 1) return firsts.indexOf(unit);
    const at = Math.floor((unit - firsts[0]) / step);
    return at >= 0 && at < firsts.length ? at : -1;
  }

  /** The row and column at a place; in the labels and bars only one of them. */
  at(x, y) {
    if (!this.now) return null;
    const { r0, r1, c0, c1, left, high, size, wide, tall } = this.now;
    const row = r0 + Math.floor((y - high) / size);
    const column = c0 + Math.floor((x - left) / size);
    const inRows = y >= high && y < high + tall && row < r1;
    const inColumns = x >= left && x < left + wide && column < c1;
    if (inRows && inColumns) return { row, column };
    if (inRows) return { row, column: null };
    return inColumns ? { row: null, column } : null;
  }

  /** Say in words what is pointed at. */
  tell() {
    const { view, state } = this.page;
    const { query, key } = state.at;
    const heads = state.shown;
    const which = heads.length === 1 ? state.headName(heads[0]) : `mean of ${heads.length} heads`;
    const parts = [make("b", {}, which)];
    const word = (axis, i) => make("bdi", {}, axis.labels[i]);
    if (query !== null && key !== null) {
      const weight = view.of(heads, { query, key: null })[key];
      const kept = weight > 0 || view.isKnown(heads, query, key);
      parts.push(
        " ",
        word(view.queries, query),
        " → ",
        word(view.keys, key),
        " ",
        make("b", {}, kept ? this.page.amounts.write(weight) : "not among the strongest"),
      );
    } else if (query !== null) {
      const row = this.cells.rows.indexOf(query);
      parts.push(" ", word(view.queries, query), " looks at …");
      if (this.unseen && row >= 0) parts.push(` ${percent(this.unseen[row], 0)} goes to words that are not shown`);
    } else if (key !== null)
      parts.push(
        " … look at ",
        word(view.keys, key),
        `, which gets ${this.page.amounts.write(this.got[key])} on average`,
      );
    this.readout.replaceChildren(...parts);
  }

  /** What shows the framed parts of the map, each called by its strongest link. */
  links() {
    const { view, state } = this.page;
    if (!this.regions.length) return [];
    const buttons = this.regions.map((region) => {
      const { values, top, rows, columns } = view.cellsOf(region);
      const best = values.indexOf(top);
      const names = [
        view.queries.labels[rows[Math.floor(best / columns.length)]],
        view.keys.labels[columns[best % columns.length]],
      ];
      const [from, to] = names.map((name) => make("bdi", {}, fitted(name, GRID.label, GRID.cut)));
      return make("button", { type: "button", class: "region", onclick: () => state.enlarge(region) }, from, " → ", to);
    });
    return [make("span", { class: "soft" }, "framed, and shown by a click: the single weights around"), ...buttons];
  }

  say() {
    const { state, colours, view } = this.page;
    const { top } = this.on;
    const bar = make("span", { class: "ramp" });
    paintRamp(bar, colours);
    const whose = state.shared
      ? "the largest of all heads"
      : state.shown.length > 1
        ? "the largest of their mean"
        : "this head’s largest";
    const low = state.log ? this.page.amounts.write(top / 1000, 2) : "0";
    const parts = [
      make("span", {}, low),
      bar,
      make("span", {}, this.page.amounts.write(top)),
      make("span", { class: "soft" }, `${whose}${state.log ? ", logarithmic" : ""}`),
    ];
    const { down, across } = this.cells;
    if (down > 1 || across > 1)
      parts.push(
        make("span", { class: "soft" }, `each cell is the largest of ${down} × ${across} ${view.unit}s`),
        ...this.links(),
      );
    if (this.region) {
      const { rows, columns } = this.cells;
      const back = make("button", { type: "button", onclick: () => state.enlarge(null) }, "back to the whole map");
      parts.push(
        make("span", { class: "soft" }, `single weights of ${rows.length} × ${columns.length} ${view.unit}s`),
        back,
      );
    }
    if (this.unseen) {
      const mean = this.unseen.reduce((sum, each) => sum + each, 0) / this.unseen.length;
      parts.push(
        make(
          "span",
          { class: "soft" },
          `${percent(mean, 0)} of the ${this.page.amounts.noun} is on what is not shown (grey bars)`,
        ),
      );
    }
    if (view.renormalised) parts.push(make("span", { class: "bad" }, "renormalised: rows sum to 1 over what is shown"));
    if (this.cells.values.length > 16) parts.push(this.zooms);
    this.legend.replaceChildren(...parts);
    const names = state.shown.map((head) => state.headName(head)).join(", ");
    this.layers.top.setAttribute(
      "aria-label",
      `Heatmap of ${names}: rows look at columns; the table below has its numbers`,
    );
  }
}
