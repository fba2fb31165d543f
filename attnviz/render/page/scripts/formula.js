// How one weight is made: product, scale, cap, positions, mask and softmax, with their numbers.

const PIECES = 8; // across and down, a table of pieces that is read at a glance

const signed = (value) => {
  const size = Math.abs(value);
  const text = size && size < 5e-4 ? value.toExponential(1) : value.toFixed(size < 10 ? 3 : 2);
  return text.replaceAll("-", "−");
};

const line = (name, ...what) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, ...what));

const bold = (text) => make("b", {}, text);

class Formula {
  constructor(page) {
    this.page = page;
    this.neurons = new Neurons(page);
    this.element = make("details", { class: "formula" }, make("summary", {}, "How this weight is made"));
    this.element.addEventListener("toggle", () => this.fill());
  }

  /** Whether one weight is pinned: a query, a key, a head. */
  get pinned() {
    const { query, key, heads } = this.page.state;
    return heads.length === 1 && query !== null && key !== null;
  }

  /** The tokens of what is pinned: from each of the queries to each of the keys. */
  get pieces() {
    const { state, view } = this.page;
    const range = (axis, i) =>
      Array.from({ length: axis.stops[i] - axis.starts[i] }, (_, piece) => axis.starts[i] + piece);
    return { queries: range(view.queries, state.query), keys: range(view.keys, state.key) };
  }

  fill() {
    const { element, page } = this;
    const summary = element.firstElementChild;
    element.hidden = !this.pinned || Boolean(this.page.state.facts.measure);
    if (!this.pinned || !element.open) element.replaceChildren(summary);
    else if (!page.view.map.scores) element.replaceChildren(summary, this.missing());
    else element.replaceChildren(summary, ...this.unfolded());
  }

  missing() {
    return make("p", { class: "hint" }, this.page.view.facts.formula.missing);
  }

  unfolded() {
    const { state } = this.page;
    const [head] = state.heads;
    const { queries, keys } = this.pieces;
    if (queries.length * keys.length === 1) return this.steps(head, queries[0], keys[0]);
    const place = [state.map, head, state.query, state.key].join();
    if (this.place !== place) [this.place, this.chosen] = [place, null];
    this.chosen ??= this.strongest(head, queries, keys);
    return [this.words(head, queries, keys), ...this.steps(head, ...this.chosen)];
  }

  strongest(head, queries, keys) {
    const { map } = this.page.view;
    let most = [queries[0], keys[0]];
    for (const query of queries)
      for (const key of keys) if (this.weight(head, query, key) > this.weight(head, ...most)) most = [query, key];
    return map.length(most[0]) > most[1] ? most : [queries[queries.length - 1], keys[0]];
  }

  weight(head, query, key) {
    const { map } = this.page.view;
    return key < map.length(query) ? this.softmax(head, query, key).weight : 0;
  }

  label(side, token) {
    const { view, model } = this.page;
    return model.texts[side ? view.facts.keys : view.facts.queries].token.labels[token];
  }

  token(side, token) {
    return make("bdi", { class: "named" }, this.label(side, token));
  }

  /** The weights between the pieces of two words, of which the weight of the words is made. */
  words(head, queries, keys) {
    const few = (all) => (all.length > PIECES ? all.slice(0, PIECES) : all);
    const total = (query) => keys.reduce((sum, key) => sum + this.weight(head, query, key), 0);
    const mean = queries.reduce((sum, query) => sum + total(query), 0) / queries.length;
    const cell = (query, key) => {
      const now = this.chosen[0] === query && this.chosen[1] === key;
      const button = make(
        "button",
        {
          type: "button",
          "aria-pressed": String(now),
          title: `unfold ${this.label(0, query)} → ${this.label(1, key)}`,
          onclick: () => {
            this.chosen = [query, key];
            this.fill();
          },
        },
        percent(this.weight(head, query, key)),
      );
      button.disabled = key >= this.page.view.map.length(query);
      return make("td", {}, button);
    };
    const heading = [make("td", {}), ...few(keys).map((key) => make("th", { scope: "col" }, this.token(1, key)))];
    const rows = few(queries).map((query) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, this.token(0, query)),
        ...few(keys).map((key) => cell(query, key)),
        make("td", {}, "Σ ", bold(percent(total(query)))),
      ),
    );
    const left = queries.length > PIECES || keys.length > PIECES ? ` The first ${PIECES} pieces are listed.` : "";
    const [n, m] = [queries.length, keys.length];
    const by = [
      m > 1 ? `summed over the ${m} pieces of the key` : "",
      n > 1 ? `averaged over the ${n} of the query` : "",
    ];
    return make(
      "div",
      { class: "pieces" },
      make(
        "p",
        { class: "hint" },
        `The weight of these words is that of their pieces, ${by.filter(Boolean).join(" and ")}: `,
        bold(percent(mean)),
        `. Choose a cell to unfold it.${left}`,
      ),
      make("table", {}, make("thead", {}, make("tr", {}, ...heading, make("td", {}))), make("tbody", {}, ...rows)),
    );
  }

  /** The softmax of one query, and what of it is the key's: the largest logit, the sum, and the weight. */
  softmax(head, query, key) {
    const { map } = this.page.view;
    const logits = [];
    for (let i = 0; i < map.length(query); i++) {
      const { product, logit } = map.terms(head, query, i);
      if (product !== -Infinity) logits.push(logit);
    }
    const most = Math.max(...logits);
    const sum = logits.reduce((total, each) => total + Math.exp(each - most), 0);
    const share = map.sink(head, query);
    const sink = (sum * share) / (1 - share);
    const terms = map.terms(head, query, key);
    const rise = terms.product === -Infinity ? 0 : Math.exp(terms.logit - most);
    return { terms, most, sum, sink, rise, seen: logits.length, weight: rise / (sum + sink) };
  }

  steps(head, query, key) {
    const { map, facts } = this.page.view;
    const { terms, most, sum, sink, rise, seen, weight } = this.softmax(head, query, key);
    const [from, to] = [this.token(0, query), this.token(1, key)];
    const behind = facts.causal ? ": none behind the query" : "";
    const mask = line(
      "mask",
      seen === map.m ? `all ${map.m} keys are seen` : `${seen} of ${map.m} keys are seen`,
      behind,
    );
    if (!rise && terms.product === -Infinity)
      return [
        make(
          "table",
          {},
          make("tbody", {}, mask, line("weight", "the mask hides ", to, " from ", from, ": ", bold("0 %"))),
        ),
      ];
    const root = 1 / terms.scale ** 2;
    const plain = Math.abs(root - Math.round(root)) < 1e-3 * root;
    const by = terms.scale === 1 ? "none in this model" : plain ? `÷ √${Math.round(root)}` : `× ${terms.scale}`;
    const lines = [
      line("product", "q(", from, ") · k(", to, ") = ", bold(signed(terms.product))),
      line("scale", terms.scale === 1 ? `${by}: ` : `${by} = `, bold(signed(terms.scaled))),
    ];
    if (terms.cap !== null)
      lines.push(
        line("soft cap", `${terms.cap} · tanh(${signed(terms.scaled)} ÷ ${terms.cap}) = `, bold(signed(terms.capped))),
      );
    if (facts.formula.biased)
      lines.push(
        line(
          "positions",
          `${terms.bias < 0 ? "−" : "+"} ${signed(Math.abs(terms.bias))}, what the model adds for where they stand = `,
          bold(signed(terms.logit)),
        ),
      );
    lines.push(mask);
    if (sink)
      lines.push(
        line("sink", `one more term without a value: ${signed(sink)}, ${percent(sink / (sum + sink))} of the row`),
      );
    lines.push(
      line(
        "softmax",
        `e^(${signed(terms.logit)} − ${signed(most)}) ÷ ${sink ? "(" : ""}Σ e^(score − ${signed(most)})${sink ? " + sink)" : ""} = ` +
          `${signed(rise)} ÷ ${signed(sum + sink)} = `,
        bold(percent(weight)),
      ),
    );
    return [make("table", {}, make("tbody", {}, ...lines)), ...this.neurons.strip(head, query, key, terms.product)];
  }
}
