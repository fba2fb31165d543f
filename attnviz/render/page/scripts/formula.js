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

  /** The keys that a query sees, from the first to the end. */
  window(query, layer) {
    const { map } = this.page.view;
    const [left, right] = map.facts.windows[layer];
    const first = left === null ? 0 : Math.max(0, query - left);
    return [first, right === null ? map.m : Math.min(map.m, query + right + 1)];
  }

  steps(query, key) {
    const { state, view } = this.page;
    const { map } = view;
    const [head] = state.heads;
    const { facts } = map;
    const layer = Math.floor(head / facts.heads);
    const factor = facts.scales[layer];
    const row = new Float32Array(map.m);
    map.row(head, query, row);
    const [first, end] = this.window(query, layer);
    const counted = Array.from({ length: end - first }, (_, i) => map.score(head, query, first + i));
    const score = map.score(head, query, key);
    const most = Math.max(...counted);
    const sum = counted.reduce((total, each) => total + Math.exp(each - most), 0);
    const rise = Math.exp(score - most);
    const word = (axis, i) => make("bdi", { class: "named" }, axis.labels[i]);
    const [from, to] = [word(view.queries, state.query), word(view.keys, state.key)];
    const number = (value) => value.toFixed(Math.abs(value) < 10 ? 3 : 2).replace("-", "−");
    const line = (name, ...what) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, ...what));
    const lines = [];
    if (factor === null)
      lines.push(
        line(
          "score",
          "q(",
          from,
          ") · k(",
          to,
          ") with the model’s position terms or cap: ",
          make("b", {}, number(score)),
        ),
      );
    else {
      const root = 1 / factor ** 2;
      const plain = Math.abs(root - Math.round(root)) < 1e-3 * root;
      const by = factor === 1 ? "none in this model: " : `${plain ? `÷ √${Math.round(root)}` : `× ${factor}`} = `;
      lines.push(line("product", "q(", from, ") · k(", to, ") = ", make("b", {}, number(score / factor))));
      lines.push(line("scale", by, make("b", {}, number(score))));
    }
    lines.push(
      line(
        "mask",
        end - first === map.m ? `all ${map.m} keys are seen` : `${end - first} of ${map.m} keys are seen`,
        facts.causal ? ": none behind the query" : "",
      ),
    );
    lines.push(
      line(
        "softmax",
        `e^(${number(score)} − ${number(most)}) ÷ Σ e^(score − ${number(most)}) = ${number(rise)} ÷ ${number(sum)} = `,
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
