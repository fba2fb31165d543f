// How one weight is made: product, scale, mask, softmax, with their numbers.

class Formula {
  constructor(page) {
    this.page = page;
    this.element = make("details", { class: "formula" }, make("summary", {}, "How this weight is made"));
    this.element.addEventListener("toggle", () => this.fill());
  }

  /** The tokens of what is pinned, in one head; null where there is no product to show. */
  get tokens() {
    const { state, view } = this.page;
    const { query, key, heads } = state;
    if (!view.map.scores || heads.length !== 1 || query === null || key === null) return null;
    const one = (axis, i) => (axis.stops[i] - axis.starts[i] === 1 ? axis.starts[i] : null);
    const found = [one(view.queries, query), one(view.keys, key)];
    return found.includes(null) || found[1] >= view.map.length(found[0]) ? null : found;
  }

  fill() {
    const { element } = this;
    const summary = element.firstElementChild;
    const found = this.tokens;
    element.hidden = found === null;
    if (found === null || !element.open) element.replaceChildren(summary);
    else element.replaceChildren(summary, ...this.steps(...found));
  }

  steps(query, key) {
    const { state, view } = this.page;
    const { map } = view;
    const [head] = state.heads;
    const { facts } = map;
    const scale = facts.scales[Math.floor(head / facts.heads)];
    const row = new Float32Array(map.m);
    map.row(head, query, row);
    const seen = map.length(query);
    const scores = Array.from({ length: seen }, (_, i) => map.score(head, query, i));
    // Keys outside of a window have a score, and no weight.
    const counted = scores.map((score, i) => (row[i] > 0 || i === key ? score : -Infinity));
    const most = Math.max(...counted);
    const sum = counted.reduce((total, score) => total + Math.exp(score - most), 0);
    const rise = Math.exp(scores[key] - most);
    const word = (axis, i) => make("bdi", { class: "named" }, axis.labels[i]);
    const [from, to] = [word(view.queries, state.query), word(view.keys, state.key)];
    const number = (value) => value.toFixed(Math.abs(value) < 10 ? 3 : 2).replace("-", "−");
    const line = (name, ...what) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, ...what));
    const lines = [];
    if (scale === null)
      lines.push(
        line(
          "score",
          "q(",
          from,
          ") · k(",
          to,
          ") with the model’s position terms or cap: ",
          make("b", {}, number(scores[key])),
        ),
      );
    else {
      const root = 1 / scale ** 2;
      const plain = Math.abs(root - Math.round(root)) < 1e-3 * root;
      lines.push(line("product", "q(", from, ") · k(", to, ") = ", make("b", {}, number(scores[key] / scale))));
      lines.push(
        line("scale", plain ? `÷ √${Math.round(root)}` : `× ${scale}`, " = ", make("b", {}, number(scores[key]))),
      );
    }
    lines.push(
      line(
        "mask",
        facts.causal ? `${seen} of ${map.m} keys are seen: none behind the query` : `all ${seen} keys are seen`,
      ),
    );
    lines.push(
      line(
        "softmax",
        `e^(${number(scores[key])} − ${number(most)}) ÷ Σ e^(score − ${number(most)}) = ${number(rise)} ÷ ${number(sum)} = `,
        make("b", {}, percent(rise / sum)),
      ),
    );
    if (Math.abs(row[key] - rise / sum) > 0.002)
      lines.push(
        line("weight", make("b", {}, percent(row[key])), ": a sink without a value takes its share of the softmax"),
      );
    return [make("table", {}, make("tbody", {}, ...lines))];
  }
}
