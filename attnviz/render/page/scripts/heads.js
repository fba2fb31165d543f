// A figure of all heads as a heatmap: layers down, heads across. Its numbers stand in the table behind it.

const HEADS = { left: 30, foot: 16, label: 10, flat: 0.4, tall: 1.25, lines: 4 };

class HeadMap {
  constructor(report, element) {
    Object.assign(this, { report, element });
    const table = element.querySelector("table");
    this.title = element.querySelector("h3").textContent;
    this.signed = element.dataset.signed !== undefined;
    const [names, ...rows] = table.rows;
    this.columns = [...names.cells].slice(1).map((cell) => cell.textContent);
    this.rows = rows.map((row) => row.cells[0].textContent);
    this.cells = rows.flatMap((row) => [...row.cells].slice(1));
    this.steps = this.cells.map((cell) => (cell.dataset.s === undefined ? null : Number(cell.dataset.s)));
    const far = (step) => (step === null ? -1 : this.signed ? Math.abs(step - 127.5) : step);
    this.largest = this.steps.reduce((best, step, i) => (far(step) > far(this.steps[best]) ? i : best), 0);
    this.layers = new Layers(this.title);
    this.ramp = make("span", { class: "ramp" });
    this.readout = make("p", { class: "readout" });
    const scale = element.querySelector(".legend");
    scale.firstElementChild.after(this.ramp);
    scale.before(this.layers.element);
    scale.after(this.readout);
    this.listen();
  }

  listen() {
    const { top } = this.layers;
    const { report } = this;
    top.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") report.hover(this.at(event.offsetX, event.offsetY));
    });
    top.addEventListener("pointerleave", () => report.hover(null));
    top.addEventListener("click", (event) => {
      const found = this.at(event.offsetX, event.offsetY);
      if (found !== null) report.pin(found === report.pinned ? null : found);
    });
    top.addEventListener("keydown", (event) => this.key(event));
    // Of all maps, which say the same head, only the one in hand is read aloud.
    top.addEventListener("focus", () => this.readout.setAttribute("aria-live", "polite"));
    top.addEventListener("blur", () => this.readout.removeAttribute("aria-live"));
  }

  key(event) {
    const wide = this.columns.length;
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const around = (place, count) => (place + count) % count;
    const now = this.report.pinned;
    if (now === null) this.report.pin(this.largest);
    else
      this.report.pin(
        around(Math.floor(now / wide) + by[0], this.rows.length) * wide + around((now % wide) + by[1], wide),
      );
  }

  name(head) {
    return `${this.rows[Math.floor(head / this.columns.length)]} ${this.columns[head % this.columns.length]}`;
  }

  draw(colours) {
    this.colours = colours;
    const [rows, columns] = [this.rows.length, this.columns.length];
    const width = this.readout.clientWidth;
    if (width <= 0) return;
    const wide = (width - HEADS.left) / columns;
    const high = (wide * columns * Math.min(Math.max(rows / columns, HEADS.flat), HEADS.tall)) / rows;
    this.now = { width, wide, high, height: rows * high + HEADS.foot };
    const draw = this.layers.base(width, this.now.height);
    const space = Math.min(wide, high) >= HEADS.lines ? 1 : 0;
    for (let i = 0; i < this.steps.length; i++) {
      const [x, y] = this.place(i);
      const step = this.steps[i];
      draw.box(x, y, wide - space, high - space, step === null ? colours.line : colours.css[step]);
    }
    draw.box(HEADS.left - 0.5, -0.5, wide * columns, high * rows, null, colours.line);
    const label = { fill: colours.soft, size: HEADS.label };
    for (let r = 0; r < rows; r += Math.ceil(14 / high)) this.rowLabel(draw, r, label);
    for (let c = 0; c < columns; c += Math.ceil(26 / wide)) this.columnLabel(draw, c, label);
    paintRamp(this.ramp, colours);
    this.mark();
  }

  place(head) {
    const { wide, high } = this.now;
    return [HEADS.left + (head % this.columns.length) * wide, Math.floor(head / this.columns.length) * high];
  }

  rowLabel(draw, r, how) {
    draw.text(this.rows[r], HEADS.left - 6, (r + 0.5) * this.now.high, { ...how, align: "right" });
  }

  columnLabel(draw, c, how) {
    const x = Math.min(HEADS.left + (c + 0.5) * this.now.wide, this.now.width - 10);
    draw.text(this.columns[c], x, this.now.height - 7, { ...how, align: "center" });
  }

  at(x, y) {
    if (!this.now) return null;
    const column = Math.floor((x - HEADS.left) / this.now.wide);
    const row = Math.floor(y / this.now.high);
    const inside = row >= 0 && row < this.rows.length && column >= 0 && column < this.columns.length;
    return inside ? row * this.columns.length + column : null;
  }

  /** Show the head that is pointed at or pinned, here as in all maps; else the one with the largest value. */
  mark() {
    if (!this.now) return;
    const { report, colours } = this;
    const { width, height, wide, high } = this.now;
    const draw = this.layers.over(width, height);
    const head = report.over ?? report.pinned;
    if (head !== null) this.cross(draw, head);
    if (report.pinned !== null && report.pinned !== head) {
      const [x, y] = this.place(report.pinned);
      draw.box(x - 0.5, y - 0.5, wide, high, null, colours.accent, 2);
    }
    this.tell(head);
  }

  cross(draw, head) {
    const { colours } = this;
    const { width, height, wide, high } = this.now;
    const [x, y] = this.place(head);
    const bold = { size: HEADS.label, bold: true, fill: colours.ink, halo: colours.card };
    draw.box(HEADS.left - 0.5, y - 0.5, width - HEADS.left, high, null, colours.accent);
    draw.box(x - 0.5, -0.5, wide, height - HEADS.foot, null, colours.accent);
    draw.box(x - 1, y - 1, wide + 1, high + 1, null, colours.ink, 2);
    this.rowLabel(draw, Math.floor(head / this.columns.length), bold);
    this.columnLabel(draw, head % this.columns.length, bold);
  }

  tell(head) {
    const shown = head ?? this.largest;
    const cell = this.cells[shown];
    const spread = head !== null && cell.title ? ` ${cell.title}` : "";
    const unit = this.element.dataset.unit && this.steps[shown] !== null ? ` ${this.element.dataset.unit}` : "";
    this.readout.replaceChildren(
      ...(head === null ? ["largest: "] : []),
      make("b", {}, this.name(shown)),
      ` ${cell.textContent}${unit}${spread}`,
    );
    this.layers.top.setAttribute(
      "aria-label",
      `${this.title}, layer by head; arrows move; ${this.readout.textContent}; the table below has its numbers`,
    );
  }
}
