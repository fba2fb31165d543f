// The part of a heatmap that is seen: enlarged, shrunk, moved.

class Zoomed {
  constructor(page) {
    this.page = page;
    this.part = null; // [first row, end, first column, end] of the cells; null is all
    this.zooms = make(
      "span",
      { class: "zooms" },
      make(
        "button",
        { type: "button", title: "enlarge (+)", "aria-label": "enlarge", onclick: () => this.zoomBy(0.5) },
        "+",
      ),
      make(
        "button",
        { type: "button", title: "shrink (−)", "aria-label": "shrink", onclick: () => this.zoomBy(2) },
        "−",
      ),
    );
  }

  get seen() {
    return this.part ?? [0, this.cells.rows.length, 0, this.cells.columns.length];
  }

  zoomTo([x0, y0, x1, y1]) {
    this.band = null;
    const [a, b] = [this.at(Math.min(x0, x1), Math.min(y0, y1)), this.at(Math.max(x0, x1), Math.max(y0, y1))];
    if (!a || !b || [a.row, a.column, b.row, b.column].includes(null)) this.mark();
    else this.zoom([a.row, b.row + 1, a.column, b.column + 1]);
  }

  zoom(part) {
    const [rows, columns] = [this.cells.rows.length, this.cells.columns.length];
    const region = part && this.enclosing(part);
    if (region) {
      this.page.state.enlarge(region);
      return;
    }
    const whole = part && part[0] <= 0 && part[1] >= rows && part[2] <= 0 && part[3] >= columns;
    this.part = whole ? null : part;
    this.page.redraw(false);
  }

  /** The region of a pooled map in which a part of it lies. */
  enclosing([r0, r1, c0, c1]) {
    if (this.region) return null;
    const { rows, columns, down, across } = this.cells;
    const inside = (from, to, first, count) => from >= first && to <= first + count;
    return this.regions.find(
      (each) =>
        inside(rows[r0], rows[r1 - 1] + down, each.query, each.rows) &&
        inside(columns[c0], columns[c1 - 1] + across, each.key, each.columns),
    );
  }

  /** Show `factor` times as many rows and columns, around a place, what is pinned, or the middle. */
  zoomBy(factor, around = null) {
    const { state } = this.page;
    if (factor > 1 && this.region && !this.part) {
      state.enlarge(null);
      return;
    }
    const [r0, r1, c0, c1] = this.seen;
    const middle = (place, firsts, unit, step, from, to) => {
      const pinned = unit === null ? -1 : this.find(firsts, unit, step);
      return place ?? (pinned < 0 ? (from + to) / 2 : pinned + 0.5);
    };
    const { rows, columns, down, across } = this.cells;
    const row = middle(around?.row, rows, state.query, down, r0, r1);
    const column = middle(around?.column, columns, state.key, across, c0, c1);
    this.zoom([
      ...this.span(row, (r1 - r0) * factor, r0, r1, rows.length),
      ...this.span(column, (c1 - c0) * factor, c0, c1, columns.length),
    ]);
  }

  /** `count` of `all`, in which `place` stands where it did between `from` and `to`. */
  span(place, count, from, to, all) {
    const size = Math.max(Math.min(4, all), Math.min(all, Math.round(count)));
    const inside = Math.min(to, Math.max(from, place));
    const first = Math.round(inside - ((inside - from) / (to - from)) * size);
    const start = Math.max(0, Math.min(all - size, first));
    return [start, start + size];
  }

  pan(down, right) {
    const [r0, r1, c0, c1] = this.part;
    const step = (wheel, size) => Math.sign(wheel) * Math.ceil((Math.abs(wheel) * size) / 600);
    const moved = (from, to, by, all) => {
      const start = Math.max(0, Math.min(all - (to - from), from + by));
      return [start, start + to - from];
    };
    this.zoom([
      ...moved(r0, r1, step(down, r1 - r0), this.cells.rows.length),
      ...moved(c0, c1, step(right, c1 - c0), this.cells.columns.length),
    ]);
  }
}
