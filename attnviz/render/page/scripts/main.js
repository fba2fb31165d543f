// The page: what it is made of, and what happens when the reader does something.

class Page extends Tools {
  constructor(element, model, packed, place) {
    super();
    Object.assign(this, { element, model, packed, place });
    this.maps = [];
    this.written = [];
    this.state = new State(model);
    this.overview = new Overview(this);
    this.grid = new Grid(this);
    this.arcs = new Arcs(this);
    this.formula = new Formula(this);
    this.words = new Words(this);
    this.ranking = new Ranking(this);
    this.tools = this.toolbar();
    this.dialog = this.keys();
    this.command = make("code", { class: "command" });
    this.head = make("h2", {});
    this.build();
    this.listen();
  }

  /** How the weights of the map in hand are written. */
  get amounts() {
    return new Amounts(this.state.facts.measure);
  }

  build() {
    const copy = make(
      "button",
      { type: "button", onclick: () => this.copy(commandOf(this), copy) },
      "copy the command",
    );
    const svg = make(
      "button",
      {
        type: "button",
        onclick: () => download(new Blob([pictureSvg(this)], { type: "image/svg+xml" }), `${this.fileName()}.svg`),
      },
      "save as SVG",
    );
    const png = make(
      "button",
      { type: "button", onclick: async () => download(await picturePng(this), `${this.fileName()}.png`) },
      "save as PNG",
    );
    const hand = make(
      "section",
      { class: "card hand" },
      make("div", { class: "title" }, this.head, make("div", { class: "saves" }, svg, png)),
      this.grid.readout,
      make("div", { class: "both" }, this.grid.element, this.arcs.element),
      this.formula.element,
      this.model.command ? make("p", { class: "copies" }, this.command, copy) : "",
    );
    this.element.append(
      this.words.element,
      this.tools,
      make(
        "div",
        { class: "levels" },
        make("div", { class: "side" }, this.overview.element, this.ranking.element, this.ranking.alignment),
        make("div", { class: "side" }, hand, this.ranking.numbers, this.about()),
      ),
      this.dialog,
    );
  }

  /** What must be known of the numbers. */
  about() {
    const [facts] = [this.model.maps[this.model.map]];
    const most = facts.measure?.most ?? 1;
    const error = (part, value = part * most) => (value < 1e-4 ? value.toExponential(0) : value.toFixed(4));
    const packed = facts.long
      ? `Of each ${facts.unit} the ${facts.long.links} strongest links of each head are kept, to ${error(facts.exact_error)}; the cells of the maps, each the largest weight in it, to ${error(facts.error)}.${facts.long.regions.length ? ` The framed parts of each map, around its strongest links, are kept weight by weight, to ${error(facts.exact_error)}.` : ""}`
      : facts.error <= facts.exact_error
        ? `All weights are exact to ${error(facts.error)}.`
        : `The ${facts.exact} strongest weights of each row are exact to ${error(facts.exact_error)}, all others to ${error(facts.error)}.`;
    const said = facts.measure
      ? `The numbers are ${facts.measure.title} (${facts.measure.source}).`
      : "A weight says where a head reads, not why, and not how much of it counts.";
    return make("p", { class: "hint foot" }, `${packed} ${said} Press ? for the keys. Made by attnviz.`);
  }

  listen() {
    this.state.listeners.push((what) => {
      this.pending = what === "change" || this.pending === "change" ? "change" : "hover";
      if (!this.frame) this.frame = requestAnimationFrame(() => this.update());
    });
    this.place.keys.addEventListener("keydown", (event) => this.key(event));
    this.place.watch((address) => {
      if (address !== this.address) this.go(address);
    });
    new ResizeObserver(() => {
      if (this.view && !this.printed && this.width !== this.element.clientWidth) this.redraw();
    }).observe(this.element);
  }

  /** Draw it light or dark; on paper it is light, and its tables are open. */
  recolour(dark, printed) {
    this.printed = printed;
    this.colours = new Palette(this.model.palettes[dark ? "ember" : "ink"], dark, getComputedStyle(this.element));
    if (!this.view) return;
    this.redraw();
    if (!printed) return;
    // Printed canvases hide what is behind them, so that the marks are drawn on the pictures themselves.
    this.overview.markOn(new Pixels(this.overview.layers.under.getContext("2d")));
    this.grid.markOn(new Pixels(this.grid.layers.under.getContext("2d")));
    this.arcs.markOn(new Pixels(this.arcs.layers.under.getContext("2d")));
  }

  /** Go to what an address says; empty is the answer. */
  async go(address) {
    const said = this.state.read(address);
    await this.openMap();
    this.state.readWords(said, this.view);
    if (![...said.keys()].some((name) => ["head", "pin", "word", "key"].includes(name))) this.state.toAnswer();
    this.state.change({});
  }

  async openMap() {
    const { map } = this.state;
    this.maps[map] ??= await openMap(this.model, map, this.packed);
    this.setView();
  }

  setView() {
    const { state } = this;
    this.view = new View(this.maps[state.map], this.model, state.unit, state.special, state.renormalised);
    state.unit = this.view.unit === "token" ? "token" : "word";
    this.key0 = this.viewKey();
    this.words.fill();
    this.found.replaceChildren(
      ...[...new Set(this.view.queries.labels)].slice(0, 500).map((value) => make("option", { value })),
    );
    this.overview.scan();
  }

  viewKey() {
    const { map, unit, special, renormalised } = this.state;
    return JSON.stringify([map, unit, special, renormalised]);
  }

  update() {
    const { pending, state } = this;
    this.frame = this.pending = null;
    if (!this.view) return;
    if (pending === "change" && this.viewKey() !== this.key0) this.setView();
    const heads = state.shown.join();
    if (pending === "change" || heads !== this.drawn) this.redraw(pending === "change");
    else this.mark();
    this.overview.mark();
  }

  /** Draw anew what the heads in hand show; where more has changed, all of it. */
  redraw(all = true) {
    const { state } = this;
    // Sizes are asked for before anything changes, so that the browser lays the page out once.
    this.width = this.element.clientWidth;
    const room = this.grid.element.parentElement.clientWidth;
    this.drawn = state.shown.join();
    const names = state.shown.map((head) => state.headName(head));
    if (names.length > 8) this.head.textContent = `Mean of ${names.length} heads`;
    else if (names.length > 1)
      this.head.replaceChildren("Mean of ", ...state.heads.map((head, i) => this.chip(head, i)));
    else this.head.textContent = state.facts.measure?.byLayer ? `Layer ${names[0]}` : `Head ${names[0]}`;
    const roles = names.length > 1 ? "" : this.ranking.rolesOf(state.shown[0]);
    if (roles) this.head.append(make("small", {}, ` ${roles}`));
    this.grid.fill();
    this.arcs.fill();
    const beside = room >= 560;
    this.grid.draw(beside ? room - Math.max(240, room * 0.34) - 18 : room);
    this.grid.element.style.width = `${this.grid.now.width}px`;
    const lines = beside ? Math.min(420, room - this.grid.now.width - 20) : Math.min(420, room);
    this.arcs.draw(lines, Math.max(240, Math.min(this.grid.height, 700)));
    this.words.mark();
    if (!all) return;
    this.overview.draw();
    this.ranking.fill();
    this.formula.fill();
    this.words.sayStep();
    this.sayTools();
    this.writeAddress();
  }

  /** Write what is shown into the address; when that changes very often, which browsers forbid, only now and then. */
  writeAddress() {
    this.address = this.state.write(this.view);
    const now = performance.now();
    this.written = this.written.filter((time) => time > now - 20000);
    if (this.written.length >= 100) {
      this.later ??= setTimeout(() => {
        this.later = null;
        this.writeAddress();
      }, 1000);
      return;
    }
    this.written.push(now);
    this.place.write(this.address);
  }

  /** One of several heads, in the colour of its lines; a click lets go of it. */
  chip(head, i) {
    const chip = make(
      "button",
      { type: "button", class: "chip", title: "let go of this head", onclick: () => this.state.addHead(head) },
      this.state.headName(head),
    );
    chip.style.borderColor = this.colours.hues[i];
    return chip;
  }

  mark() {
    this.grid.mark();
    this.arcs.mark();
    this.words.mark();
  }

  scanned() {
    this.element.dataset.ready = "1";
    if (this.state.shared) this.redraw();
    else this.overview.draw();
  }

  toggle(name, value) {
    if (name === "special") this.state.change({ special: value, renormalised: false });
    else this.state.change({ [name]: value });
  }

  /** Show words or tokens; what is pinned stays where it is in the text. */
  toUnit(unit) {
    const { state, view, model } = this;
    if (unit === state.unit || view.facts.long) return;
    const to = (axis, text, i) => {
      if (i === null) return null;
      const { starts } = model.texts[text][unit];
      const token = axis.starts[i];
      let found = 0;
      while (found + 1 < starts.length && starts[found + 1] <= token) found++;
      return found;
    };
    state.change({
      unit,
      query: to(view.queries, view.facts.queries, state.query),
      key: to(view.keys, view.facts.keys, state.key),
    });
  }

  async toMap(map) {
    this.state.reset(map);
    await this.openMap();
    this.state.change({});
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.dialog.open || !this.view) return;
    if (/^(input|select|textarea)$/i.test(event.target.tagName) && event.target.type !== "checkbox") return;
    const { state } = this;
    const { heads, layers } = state.facts;
    const now = state.heads[state.heads.length - 1];
    const [layer, head] = [Math.floor(now / heads), now % heads];
    const to = (l, h) => state.onlyHead(((l + layers.length) % layers.length) * heads + ((h + heads) % heads));
    const does = {
      ArrowLeft: () => to(layer, head - 1),
      ArrowRight: () => to(layer, head + 1),
      ArrowUp: () => to(layer - 1, head),
      ArrowDown: () => to(layer + 1, head),
      Escape: () => state.free(),
      "/": () => this.find.focus(),
      "+": () => this.grid.zoomBy(0.5),
      "=": () => this.grid.zoomBy(0.5),
      "-": () => this.grid.zoomBy(2),
      "?": () => this.dialog.showModal(),
      m: () => state.wholeLayer(layer),
      t: () => this.toUnit(state.unit === "word" ? "token" : "word"),
      s: () => this.view.facts.long || this.toggle("special", !state.special),
      l: () => state.change({ log: !state.log }),
      "[": () => this.words.toStep((state.step ?? 1) - 1),
      "]": () => this.words.toStep((state.step ?? -1) + 1),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    event.stopPropagation();
    does();
  }

  fileName() {
    const { state } = this;
    return `attention-${state.heads.map((head) => state.headName(head).replace(" ", "")).join("-")}`;
  }

  async copy(text, button) {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea", {});
      area.value = text;
      this.element.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "copied";
    setTimeout(() => {
      button.textContent = before;
    }, 1200);
  }
}
