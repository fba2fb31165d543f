// The switches above the pictures, the search, and the list of keys.

const KEYS = [
  ["← → ↑ ↓", "the head beside, the layer above or below"],
  ["m", "the mean of the layer’s heads"],
  ["Esc", "free what is pinned; once more: back to the answer"],
  ["/", "find a word; Enter pins it"],
  ["+ and −", "enlarge or shrink the heatmap; dragging enlarges a part, the wheel with Ctrl too"],
  ["t", "words or tokens"],
  ["s", "special tokens and punctuation, shown or not"],
  ["l", "linear or logarithmic scale"],
  ["[ and ]", "one generated token back or on"],
  ["?", "these keys"],
];

class Tools {
  toolbar() {
    const { state } = this;
    const box = (name, label, title) => {
      const input = make("input", { type: "checkbox", id: `switch-${name}` });
      input.addEventListener("change", () => this.toggle(name, input.checked));
      this[`box_${name}`] = input;
      return make("label", { title }, input, label);
    };
    this.unit = make("select", { "aria-label": "Unit" });
    this.unit.addEventListener("change", () => this.toUnit(this.unit.value));
    this.least = make("input", {
      type: "range",
      min: 0,
      max: 100,
      step: 1,
      "aria-label": "The least weight of a line",
    });
    this.least.addEventListener("input", () => state.change({ least: Number(this.least.value) / 100 }));
    this.left = make("span", { class: "left" });
    this.why = make("p", { class: "hint" });
    this.find = make("input", { type: "search", placeholder: "find a word  /", "aria-label": "Find a word" });
    this.find.addEventListener("keydown", (event) => this.search(event));
    this.found = make("datalist", { id: "found-words" });
    this.find.setAttribute("list", "found-words");
    this.which = make(
      "select",
      { "aria-label": "Map" },
      ...this.model.maps.map((map, i) =>
        make("option", { value: i }, map.name === "cross" ? "target → source" : map.name),
      ),
    );
    this.which.addEventListener("change", () => this.toMap(Number(this.which.value)));
    return make(
      "div",
      { class: "tools", role: "toolbar", "aria-label": "What is shown" },
      this.model.maps.length > 1 ? this.which : "",
      this.unit,
      box(
        "special",
        "special tokens and punctuation",
        "Show tokens that the model adds, punctuation, and the first token on which causal models rest",
      ),
      box("renormalised", "renormalise", "Let each row sum to 1 over what is shown: these are not the model’s weights"),
      box("log", "logarithmic", "A scale on which weak links can be seen"),
      box("shared", "one scale for all heads", "The same colour is the same weight in each head"),
      make("label", { class: "range" }, "lines of ", this.least, this.left),
      this.find,
      this.found,
      make("button", { type: "button", title: "All keys", onclick: () => this.dialog.showModal() }, "?"),
      this.why,
    );
  }

  keys() {
    const rows = KEYS.map(([key, what]) =>
      make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, key)), make("td", {}, what)),
    );
    return make(
      "dialog",
      { "aria-label": "Keys" },
      make("h2", {}, "Keys"),
      make("table", {}, make("tbody", {}, ...rows)),
      make(
        "p",
        { class: "hint" },
        "Everywhere: the pointer shows, a click pins, a second click or Esc frees. On heads a click adds, a double click shows only that one; a tap shows only one, a double tap adds it.",
      ),
      make("form", { method: "dialog" }, make("button", {}, "close")),
    );
  }

  sayTools() {
    const { state, view } = this;
    const long = Boolean(view.facts.long);
    this.which.value = state.map;
    const units = long ? [view.unit] : ["word", "token"];
    this.unit.replaceChildren(...units.map((unit) => make("option", { value: unit }, `${unit}s`)));
    this.unit.value = long ? view.unit : state.unit;
    this.unit.disabled = long;
    this.why.textContent = long ? this.oneOnly(view) : "";
    for (const name of ["special", "renormalised", "log", "shared"]) this[`box_${name}`].checked = state[name];
    this.box_special.disabled = long;
    this.box_renormalised.disabled = long || state.special;
    this.least.value = Math.round(100 * state.least);
    this.left.textContent = ` ${Math.round(100 * state.least)} %${this.amounts.share ? "" : " of the largest"} or more: ${this.arcs.count.toLocaleString("en")} of ${this.arcs.total.toLocaleString("en")}`;
    this.command.textContent = commandOf(this);
  }

  /** Why a long text has only one unit, and how to get others. */
  oneOnly({ unit, facts }) {
    const without = facts.special ? "with special tokens and punctuation" : "without special tokens and punctuation";
    const others = [unit === "token" ? "without --tokens" : "with --tokens"];
    others.push(facts.special ? "without --special" : "with --special");
    return `This page holds ${unit}s ${without} only, since each choice would take as many bytes again: for another, export it ${others.join(" or ")}.`;
  }

  search(event) {
    if (event.key === "Escape") this.find.blur();
    if (event.key !== "Enter") return;
    const { view, state } = this;
    const text = this.find.value.trim();
    const exact = view.queries.find(text);
    const near = exact ?? view.queries.labels.findIndex((label) => label.toLowerCase().startsWith(text.toLowerCase()));
    const found = text === "" || near < 0 ? null : near;
    this.find.setAttribute("aria-invalid", found === null ? "true" : "false");
    if (found === null) return;
    state.change({ query: found, key: null, step: null, order: "word" });
    this.words.elements.query.get(found)?.scrollIntoView({ block: "nearest" });
    this.find.blur();
  }
}
