// All heads at once: one small picture each, in the order that the reader wants.

const THUMB = { least: 16, most: 46, gap: 3, label: 30, foot: 14, tall: 560 };

/** In so many milliseconds two taps are one double tap. */
const TWICE = 400;

/** Whether the reader points with a finger. */
const COARSE = window.matchMedia("(pointer: coarse)");

class Overview {
  constructor(page) {
    this.page = page;
    this.layers = new Layers("All heads");
    this.canvas = this.layers.top;
    this.order = make("select", { "aria-label": "Order of the heads" });
    for (const name of ORDERS) this.order.append(make("option", { value: name }, name));
    this.order.addEventListener("change", () => page.state.change({ order: this.order.value }));
    this.about = make("p", { class: "hint" });
    const all = page.state.facts.measure?.byLayer ? "All layers" : "All heads";
    this.element = make(
      "section",
      { class: "card overview" },
      make("div", { class: "title" }, make("h2", {}, all), make("label", {}, "order ", this.order)),
      make("div", { class: "scrolled" }, this.layers.element),
      this.about,
    );
    this.pictures = [];
    this.tops = [];
    const head = (event) => this.at(event.offsetX, event.offsetY);
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch") return;
      const found = head(event);
      page.state.hover(found === null ? null : { head: found });
    });
    this.canvas.addEventListener("pointerleave", () => page.state.hover(null));
    let touched = false; // not all browsers say it of a click
    this.canvas.addEventListener("pointerdown", (event) => {
      touched = event.pointerType === "touch";
    });
    this.canvas.addEventListener("click", (event) => {
      const found = head(event);
      if (found === null) return;
      if (touched) this.tap(found);
      else page.state.addHead(found);
    });
    this.canvas.addEventListener("dblclick", (event) => {
      const found = head(event);
      if (found !== null && !touched) page.state.onlyHead(found);
    });
  }

  /** A finger can't point before it taps: a tap shows a head, and a second one soon after adds it. */
  tap(head) {
    const { state } = this.page;
    const now = performance.now();
    if (this.tapped?.head === head && now - this.tapped.when < TWICE) {
      state.heads = this.tapped.before;
      this.tapped = null;
      state.addHead(head);
    } else {
      this.tapped = { head, when: now, before: state.heads };
      state.onlyHead(head);
    }
  }

  /** Make the pictures of all heads again, a few at a time so that the page stays at hand. */
  scan() {
    const { view } = this.page;
    const count = view.map.heads;
    this.scanning = view;
    this.now = null;
    this.drawn = -150;
    this.pictures = Array(count).fill(null);
    this.tops = new Float32Array(count);
    let next = 0;
    const some = () => {
      if (this.scanning !== view) return;
      const until = performance.now() + 12;
      while (next < count && performance.now() < until) this.picture(next++);
      if (next < count) {
        // To draw all again takes longer the more there are.
        if (performance.now() > this.drawn + 150) this.draw();
        setTimeout(some);
        return;
      }
      this.scanning = this.now = null;
      this.page.scanned();
    };
    some();
  }

  get done() {
    return this.scanning === null;
  }

  picture(head) {
    const { view } = this.page;
    const cells = view.cells([head]);
    const [rows, columns] = [cells.rows.length, cells.columns.length];
    const small = pooled(cells.values, rows, columns, Math.ceil(rows / THUMB.most), Math.ceil(columns / THUMB.most));
    this.pictures[head] = small;
    this.tops[head] = cells.top;
  }

  /** The heads in the order that is wanted, and the number by which, where there is one. */
  ordered() {
    const { state, view } = this.page;
    const { facts } = state;
    const heads = [...Array(view.map.heads).keys()];
    let values = null;
    let label = (value) => this.page.amounts.write(value, 0);
    if (state.order === "link") values = facts.strength;
    else if (state.order === "word") {
      const at = { query: state.query, key: state.key };
      if (at.query !== null || at.key !== null) values = heads.map((head) => view.score(head, at));
    } else if (state.order === "role") {
      const names = Object.keys(facts.roles);
      const role = (head) => names.findIndex((name) => facts.roles[name].includes(head));
      const place = heads.map((head) => (role(head) + names.length + 1) % (names.length + 1));
      heads.sort((a, b) => place[a] - place[b] || a - b);
      return { heads, values: place, label: (value) => names[value] ?? "" };
    } else if (state.order !== "layer") {
      values = facts.figures[state.order] ?? null;
      label = state.order === "sink" ? (value) => percent(value, 0) : (value) => value.toFixed(1);
    }
    if (values) heads.sort((a, b) => (values[b] ?? -1) - (values[a] ?? -1) || a - b);
    return { heads, values, label };
  }

  layout(width) {
    const { state, view } = this.page;
    const { heads, layers } = view.facts;
    if (state.order !== "layer") {
      const columns = Math.max(1, Math.floor(width / (38 + THUMB.gap)));
      const size = Math.min(THUMB.most, width / columns - THUMB.gap);
      const pitch = [size + THUMB.gap, size + THUMB.gap + 2 * THUMB.foot];
      const lines = Math.ceil((heads * layers.length) / columns);
      const place = (i) => [(i % columns) * pitch[0], Math.floor(i / columns) * pitch[1]];
      return { size, foot: 2 * THUMB.foot, place, width, height: lines * pitch[1], pitch: pitch[0] };
    }
    // A model of many layers stands in several blocks, so that its pictures are as large as they can be.
    const sizeOf = (blocks) =>
      Math.min(
        THUMB.most,
        width / blocks / heads - THUMB.gap - THUMB.label / heads,
        THUMB.tall / Math.ceil(layers.length / blocks) - THUMB.gap,
      );
    const blocks = [1, 2, 3, 4].reduce((best, each) => (sizeOf(each) > sizeOf(best) + 0.5 ? each : best), 1);
    const size = Math.max(THUMB.least, sizeOf(blocks));
    const pitch = size + THUMB.gap;
    const rows = Math.ceil(layers.length / blocks);
    const block = THUMB.label + heads * pitch + THUMB.gap;
    const place = (head) => {
      const layer = Math.floor(head / heads);
      return [Math.floor(layer / rows) * block + THUMB.label + (head % heads) * pitch, 16 + (layer % rows) * pitch];
    };
    return {
      byLayer: true,
      size,
      foot: 0,
      place,
      width: Math.max(width, blocks * block),
      height: 16 + rows * pitch,
      rows,
      block,
      pitch,
    };
  }

  draw() {
    const { page } = this;
    const { state, colours } = page;
    const width = this.element.clientWidth - 34;
    if (width <= 0) return;
    const at = state.order === "word" ? [state.query, state.key] : [];
    const now = [width, window.devicePixelRatio, colours.dark, state.order, state.log, state.shared, ...at].join();
    if (now === this.now && this.done) {
      this.mark();
      return;
    }
    this.now = now;
    const ordered = this.ordered();
    const plan = this.layout(width);
    const { size, foot, pitch } = plan;
    this.size = [plan.width, plan.height];
    const draw = this.layers.base(...this.size);
    this.places = [];
    this.drawn = performance.now();
    const shared = Math.max(...this.tops, 1e-9);
    const mosaic = new Mosaic(this.layers.under, this.size[0], colours);
    ordered.heads.forEach((head, i) => {
      const [x, y] = plan.place(i);
      this.places.push({ head, x, y, size, high: size + foot });
      const small = this.pictures[head];
      if (small) mosaic.add(small, x, y, size, scale(state.shared ? shared : this.tops[head], state.log));
    });
    mosaic.put();
    ordered.heads.forEach((head, i) => {
      const [x, y] = plan.place(i);
      draw.box(x + 0.5, y + 0.5, size - 1, size - 1, null, colours.line);
      if (!foot) return;
      draw.text(state.headName(head).replace(" ", ""), x + size / 2, y + size + 8, {
        fill: colours.ink,
        size: 10,
        align: "center",
      });
      const value = ordered.values?.[head] ?? null;
      const said = value === null ? "" : ordered.label(value);
      draw.text(fitted(said, 9.5, pitch), x + size / 2, y + size + 20, {
        fill: colours.soft,
        size: 9.5,
        align: "center",
      });
    });
    if (plan.byLayer) this.labels(draw, plan);
    this.mark();
  }

  /** Frame the heads in hand, and the one under the pointer. */
  mark() {
    if (!this.size) return;
    this.say();
    this.markOn(this.layers.over(...this.size));
  }

  markOn(draw) {
    const { state, colours } = this.page;
    const some = state.heads.length > 1 && state.heads.length <= 8;
    const hue = (i) => (some ? colours.hues[i] : colours.accent);
    for (const [i, head] of state.heads.entries()) this.frame(draw, head, hue(i), 2.5);
    if (state.over?.head !== undefined) this.frame(draw, state.over.head, colours.ink, 1.5);
  }

  labels(draw, { place, size, rows, pitch }) {
    const { view, colours } = this.page;
    const { layers, heads } = view.facts;
    const label = { fill: colours.soft, size: 11 };
    layers.forEach((layer, i) => {
      const [x, y] = place(i * heads);
      draw.text(`L${layer}`, x - 6, y + size / 2, { ...label, align: "right" });
      if (i % rows || view.facts.measure?.byLayer) return;
      for (let head = 0; head < heads; head += Math.ceil(24 / pitch))
        draw.text(`H${head}`, x + head * pitch + size / 2, 7, { ...label, align: "center" });
    });
  }

  frame(draw, head, colour, line) {
    const place = this.places.find((each) => each.head === head);
    if (place) draw.box(place.x, place.y, place.size, place.size, null, colour, line);
  }

  say() {
    const { state, view } = this.page;
    const about = {
      layer: "Layers down, heads across.",
      link: "The head of the strongest link first; positional heads last.",
      word: "By what the pinned word gives or gets.",
      entropy: "The head that spreads its attention most comes first (entropy in nats).",
      sink: "The share that one key takes, whatever the query.",
      distance: "The mean distance that a head looks, in tokens.",
      role: "By what a head does in this text.",
    };
    this.order.value = state.order;
    for (const option of this.order.options) {
      const word = option.value === "word" && state.query === null && state.key === null;
      const figure = ["distance"].includes(option.value) && !view.facts.figures[option.value];
      option.disabled = word || figure;
    }
    const how = COARSE.matches
      ? "A tap shows a head, a double tap adds it."
      : "Click adds a head, a double click shows only it.";
    this.about.textContent = `${about[state.order]} ${how}`;
    const names = state.heads.map((head) => state.headName(head)).join(", ");
    this.canvas.setAttribute("aria-label", `All heads; in hand: ${names}`);
  }

  at(x, y) {
    const found = (this.places ?? []).find(
      (place) => x >= place.x && x < place.x + place.size + THUMB.gap && y >= place.y && y < place.y + place.high,
    );
    return found ? found.head : null;
  }
}
