// Which heads do it: a table for a word or a pair, and the alignment of two texts.

const RANKED = 12;

/** A table of more weights is no help: as many as a region of a long text has. */
const MOST_NUMBERS = 32 * 32;

class Ranking {
  constructor(page) {
    this.page = page;
    this.element = make("section", { class: "card ranking" });
    this.alignment = make("section", { class: "card alignment" });
    this.numbers = make("details", { class: "card numbers" }, make("summary", {}, "The numbers as a table"));
    this.numbers.addEventListener("toggle", () => this.fillNumbers());
  }

  fill() {
    const { state } = this.page;
    if (state.query === null && state.key === null) this.roles();
    else if (state.query !== null && state.key !== null) this.pair();
    else this.word();
    this.align();
    this.fillNumbers();
  }

  /** The heads that matter most for what is pinned: (head, weight). */
  best(at) {
    const { view } = this.page;
    const scored = [...Array(view.map.heads).keys()].map((head) => [head, view.score(head, at)]);
    return scored
      .sort((a, b) => b[1] - a[1] || a[0] - b[0])
      .slice(0, RANKED)
      .filter(([, weight]) => weight > 0);
  }

  show(title, note, heads, rows) {
    const head = make("tr", {}, ...heads.map((name, i) => make("th", { scope: "col", class: i ? "n" : null }, name)));
    const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
    this.element.replaceChildren(
      make("h2", {}, ...title),
      make("p", { class: "hint" }, note),
      make("div", { class: "scroll" }, table),
    );
  }

  row(head, ...cells) {
    const { state } = this.page;
    const button = make(
      "button",
      { type: "button", class: "head", onclick: () => state.onlyHead(head) },
      state.headName(head),
    );
    const marked = state.heads.includes(head);
    return make(
      "tr",
      { class: marked ? "now" : null },
      make("th", { scope: "row" }, button),
      ...cells.map((cell) => make("td", { class: "n" }, cell)),
    );
  }

  rolesOf(head) {
    const { roles } = this.page.state.facts;
    return Object.keys(roles)
      .filter((name) => roles[name].includes(head))
      .join(", ");
  }

  word1(axis, i) {
    return make("bdi", { class: "named" }, axis.labels[i]);
  }

  pair() {
    const { view, state } = this.page;
    const { query, key } = state;
    const rows = this.best({ query, key }).map(([head, weight]) => {
      const lift = view.map.whole ? liftOf(view, head, query, key) : null;
      const lifts = lift ? [times(lift.toKey), ...(view.one ? [times(lift.atDistance)] : [])] : [];
      return this.row(head, this.page.amounts.write(weight), ...lifts, this.rolesOf(head));
    });
    const heads = state.facts.measure?.byLayer ? "layers" : "heads";
    const title = [`Which ${heads} take `, this.word1(view.queries, query), " to ", this.word1(view.keys, key)];
    const distance = view.one ? Math.abs(key - query) : 0;
    const note = view.map.whole
      ? `How unusual: the weight beside the head’s mean weight to this ${view.unit} from others that see it${view.one ? `, and beside its mean at this distance (${distance})` : ""}. No mean counts for less than even attention.`
      : "Of each unit only the strongest links were kept.";
    const lifts = view.map.whole ? [`to this ${view.unit}`, ...(view.one ? ["at this distance"] : [])] : [];
    this.show(title, note, ["head", "weight", ...lifts, "role"], rows);
  }

  word() {
    const { view, state } = this.page;
    const { query, key } = state;
    const gives = query !== null;
    const best = this.best({ query, key });
    const rows = best.map(([head, weight]) => {
      const found = this.partner(head, query, key);
      const label = make("bdi", {}, found === null ? "" : (gives ? view.keys : view.queries).labels[found]);
      return this.row(head, this.page.amounts.write(weight), label, this.rolesOf(head));
    });
    const title = gives
      ? ["Where ", this.word1(view.queries, query), " looks, head by head"]
      : ["What looks at ", this.word1(view.keys, key), ", head by head"];
    this.show(
      title,
      `The strongest link of each head ${gives ? "from" : "to"} it. Click a second ${view.unit} for a pair.`,
      ["head", "weight", gives ? "looks at" : "from", "role"],
      rows,
    );
    const turn = make(
      "button",
      { type: "button", onclick: () => this.turn() },
      gives ? "what looks at it" : "what it looks at",
    );
    if (view.one) this.element.querySelector(".hint").append(" ", turn);
  }

  /** From what a word gives to what it gets, and back. */
  turn() {
    const { state } = this.page;
    state.change({ query: state.key, key: state.query, step: null });
  }

  partner(head, query, key) {
    const { view } = this.page;
    const values = view.of([head], { query, key });
    const units = query !== null ? view.columns : view.rows;
    let best = null;
    for (const i of units)
      if ((!view.one || i !== (query ?? key)) && (best === null || values[i] > values[best])) best = i;
    return best;
  }

  roles() {
    const { state } = this.page;
    const { roles } = state.facts;
    const names = Object.keys(roles);
    const items = names.map((name) => {
      const heads = roles[name]
        .slice(0, 8)
        .map((head) =>
          make(
            "li",
            {},
            make(
              "button",
              { type: "button", class: "head", onclick: () => state.onlyHead(head) },
              state.headName(head),
            ),
          ),
        );
      const more = roles[name].length > 8 ? [make("li", { class: "soft" }, `and ${roles[name].length - 8} more`)] : [];
      return make(
        "div",
        { class: "roleline" },
        make("h3", {}, `${name} `, make("small", {}, roles[name].length)),
        make("ul", { class: "heads" }, ...heads, ...more),
      );
    });
    this.element.replaceChildren(
      make("h2", {}, "What heads do in this text"),
      make(
        "p",
        { class: "hint" },
        "By the thresholds of the corpus report, on this one text. Click a word above to see which heads it uses.",
      ),
      ...(items.length ? items : [make("p", {}, "No head has a role here.")]),
    );
  }

  /** The best source word of each target word, by the heads in hand. */
  align() {
    const { view, state } = this.page;
    const text = this.page.model.texts[view.facts.queries];
    const second = view.map.whole && view.one ? text[view.unit].second : undefined;
    const two = !view.one || second;
    this.alignment.hidden = !two;
    if (!two) return;
    const rows = view.one ? view.rows.filter((row) => row >= second) : view.rows;
    const columns = view.one ? view.columns.filter((column) => column < second) : view.columns;
    const found = [];
    for (const query of rows) {
      const values = view.of(state.heads, { query, key: null });
      let best = null;
      for (const key of columns) if (best === null || values[key] > values[best]) best = key;
      if (best !== null && values[best] > 0) found.push([query, best, values[best]]);
    }
    const body = found.map(([query, key, weight]) =>
      make(
        "tr",
        {},
        make("td", {}, this.word1(view.queries, query)),
        make("td", {}, this.word1(view.keys, key)),
        make("td", { class: "n" }, this.page.amounts.write(weight)),
      ),
    );
    const lines = found.map(
      ([query, key, weight]) =>
        `${view.queries.labels[query]}\t${view.keys.labels[key]}\t${(weight * this.page.amounts.most).toFixed(4)}`,
    );
    const sides = view.one ? ["second text", "first text"] : ["target", "source"];
    const copy = make(
      "button",
      { type: "button", onclick: () => this.page.copy([`${sides.join("\t")}\tweight`, ...lines].join("\n"), copy) },
      "copy",
    );
    const head = make(
      "tr",
      {},
      ...[...sides, "weight"].map((name, i) => make("th", { scope: "col", class: i === 2 ? "n" : null }, name)),
    );
    const names = state.heads.map((each) => state.headName(each)).join(", ");
    this.alignment.replaceChildren(
      make("div", { class: "title" }, make("h2", {}, "Alignment"), copy),
      make(
        "p",
        { class: "hint" },
        `Which word of the ${sides[1]} each word of the ${sides[0]} looks at most, by ${names}.`,
      ),
      make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body))),
    );
  }

  /** What the canvas shows, as a table: all weights of a short text, the strongest of a longer one. */
  fillNumbers() {
    const { view, state, grid, arcs } = this.page;
    const summary = this.numbers.firstElementChild;
    if (!this.numbers.open && grid.cells.values.length > MOST_NUMBERS) {
      this.numbers.replaceChildren(summary);
      return;
    }
    const names = state.heads.map((head) => state.headName(head)).join(", ");
    const { cells } = grid;
    let table;
    if (cells.values.length <= MOST_NUMBERS && cells.down === 1) {
      const head = make(
        "tr",
        {},
        make("td", {}),
        ...cells.columns.map((key) => make("th", { scope: "col" }, make("bdi", {}, view.keys.labels[key]))),
      );
      const rows = cells.rows.map((query, r) =>
        make(
          "tr",
          {},
          make("th", { scope: "row" }, make("bdi", {}, view.queries.labels[query])),
          ...cells.columns.map((_, c) =>
            make("td", { class: "n" }, (100 * cells.values[r * cells.columns.length + c]).toFixed(1)),
          ),
        ),
      );
      table = make(
        "table",
        { class: "matrix" },
        make("caption", {}, `${names}: rows look at columns, in percent`),
        make("tbody", {}, head, ...rows),
      );
    } else {
      const rows = arcs.lines
        .slice(-100)
        .reverse()
        .map(({ query, key, weight }) =>
          make(
            "tr",
            {},
            make("td", {}, this.word1(view.queries, query)),
            make("td", {}, this.word1(view.keys, key)),
            make("td", { class: "n" }, this.page.amounts.write(weight)),
          ),
        );
      table = make(
        "table",
        {},
        make("caption", {}, `${names}: its ${rows.length} strongest links`),
        make("tbody", {}, ...rows),
      );
    }
    this.numbers.replaceChildren(summary, make("div", { class: "scroll" }, table));
  }
}
