// The sentence, word by word: what the word in hand looks at, or what looks at it.

const FOCUSABLE = 600;

/** How a text is read, by its first letter; what stands isolated says nothing to the browser. */
function directionOf(axis, from, to) {
  const labels = axis.labels.slice(from, to).filter((_, i) => !axis.special.has(from + i));
  const first = /\p{L}/u.exec(labels.join(" "))?.[0] ?? "";
  return /[\p{sc=Hebr}\p{sc=Arab}\p{sc=Syrc}\p{sc=Thaa}\p{sc=Nkoo}]/u.test(first) ? "rtl" : "ltr";
}

class Words {
  constructor(page) {
    this.page = page;
    this.lines = make("div", { class: "lines" });
    this.about = make("p", { class: "hint" });
    this.steps = make("div", { class: "steps" });
    this.element = make("section", { class: "card words" }, this.lines, this.steps, this.about);
    const unit = (event) => event.target.closest?.("[data-unit]");
    this.lines.addEventListener("pointerover", (event) => {
      const found = unit(event);
      if (event.pointerType !== "touch" && found) page.state.hover(this.over(found));
    });
    this.lines.addEventListener("pointerleave", () => page.state.hover(null));
    this.lines.addEventListener("click", (event) => {
      const found = unit(event);
      if (found) this.pin(found);
    });
    this.lines.addEventListener("keydown", (event) => {
      const found = unit(event);
      if (found && (event.key === "Enter" || event.key === " ")) {
        event.preventDefault();
        this.pin(found);
      }
    });
  }

  pin(element) {
    this.page.state.pinWord(Number(element.dataset.unit), element.dataset.role, this.page.view.one);
  }

  /** What a word under the pointer shows: beside a pinned word the pair, else what it gives or gets. */
  over(element) {
    const { state, view } = this.page;
    const unit = Number(element.dataset.unit);
    const { role } = element.dataset;
    if (!view.one) {
      const other = role === "query" ? "key" : "query";
      return { [role]: unit, [other]: state[other] };
    }
    if (state.query !== null && state.key === null && state.query !== unit) return { query: state.query, key: unit };
    if (state.key !== null && state.query === null && state.key !== unit) return { query: unit, key: state.key };
    return { query: unit };
  }

  /** Write the words anew: the unit, the map or what is shown has changed. */
  fill() {
    const { view } = this.page;
    this.elements = { query: new Map(), key: new Map() };
    const rows = view.one
      ? [["query", view.queries, null]]
      : [
          ["query", view.queries, "looks"],
          ["key", view.keys, "is looked at"],
        ];
    this.lines.replaceChildren(...rows.flatMap(([role, axis, name]) => this.line(role, axis, name)));
    this.fillSteps();
  }

  line(role, axis, name) {
    const { view } = this.page;
    const text = this.page.model.texts[role === "query" ? view.facts.queries : view.facts.keys];
    const second = text[view.unit]?.second;
    const cut = second
      ? [
          [0, second],
          [second, axis.count],
        ]
      : [[0, axis.count]];
    return cut.map(([from, to]) => {
      const line = make("p", { dir: directionOf(axis, from, to), class: axis.count > 60 ? "many" : "few" });
      if (name) line.append(make("span", { class: "side-name" }, name));
      for (let i = from; i < to; i++) {
        if (!view.special && axis.special.has(i)) continue;
        line.append(this.word(role, axis, i), " ");
      }
      return line;
    });
  }

  word(role, axis, i) {
    const dull = axis.punctuation.has(i) || axis.special.has(i);
    const focus = axis.count <= FOCUSABLE ? { tabindex: "0", role: "button" } : {};
    const element = make(
      "bdi",
      { class: dull ? "word dull" : "word", "data-unit": i, "data-role": role, ...focus },
      axis.labels[i],
    );
    this.elements[role].set(i, element);
    return element;
  }

  /** Shade the words by what they give or get. */
  mark() {
    const { view, state, colours, grid } = this.page;
    const { query, key } = state.at;
    const side = query !== null ? "key" : key !== null ? "query" : "key";
    const values =
      query !== null || key !== null ? view.of(state.shown, { query, key: query === null ? key : null }) : grid.got;
    const counts = side === "key" ? view.isColumn : view.isRow;
    let top = 0;
    for (const [i, value] of values.entries()) if (counts[i] && value > top) top = value;
    const place = scale(state.shared && (query !== null || key !== null) ? grid.on.top : top, state.log);
    const elements = view.one ? this.elements.query : this.elements[side];
    const paint = (element, share) => {
      const colour = share > 0.004 ? colours.colour(share) : "";
      if (element.shade === colour) return;
      element.shade = colour;
      element.style.backgroundColor = colour;
      element.style.color = colour && colours.text(share);
    };
    for (const [i, element] of elements) {
      paint(element, counts[i] ? place(values[i]) : 0);
      const value = counts[i] ? values[i] : null;
      if (element.value !== value) element.title = value === null ? "" : this.page.amounts.write(value);
      element.value = value;
    }
    if (!view.one) for (const element of this.elements[side === "key" ? "query" : "key"].values()) paint(element, 0);
    for (const role of ["query", "key"])
      for (const [i, element] of this.elements[role]) {
        const from = i === query && (view.one || role === "query");
        const to = i === key && (view.one || role === "key");
        element.classList.toggle("from", from);
        element.classList.toggle("to", to);
        if (element.tabIndex >= 0) element.setAttribute("aria-pressed", from || to ? "true" : "false");
      }
    this.say(query, key);
    if (!state.over) this.toPinned();
  }

  /** Scroll a long text, and not the page, to what is pinned. */
  toPinned() {
    const { state, view } = this.page;
    const side = state.query !== null || view.one ? "query" : "key";
    const element = this.elements[side].get(state.query ?? state.key);
    if (!element || this.lines.scrollHeight <= this.lines.clientHeight) return;
    const [inner, outer] = [element.getBoundingClientRect(), this.lines.getBoundingClientRect()];
    if (inner.top < outer.top || inner.bottom > outer.bottom)
      this.lines.scrollTop += inner.top - outer.top - outer.height / 2;
  }

  say(query, key) {
    const { view, state } = this.page;
    const word = (axis, i) => make("bdi", { class: "named" }, axis.labels[i]);
    const names = state.shown.map((head) => state.headName(head));
    const heads = names.length > 8 ? `${names.length} heads` : names.join(", ");
    const { unit } = view;
    const parts =
      query !== null && key !== null
        ? ["How much ", word(view.queries, query), ` looks at each ${unit}, `, word(view.keys, key), " marked."]
        : query !== null
          ? ["How much ", word(view.queries, query), ` looks at each ${unit}. A second ${unit} makes a pair.`]
          : key !== null
            ? [`How much each ${unit} looks at `, word(view.keys, key), "."]
            : [`How much each ${unit} gets, on average. Click one to see what it looks at.`];
    if (!view.map.whole && state.at.query !== null) parts.push(" Only its strongest links were kept.");
    this.about.replaceChildren(make("b", {}, heads), " ", ...parts);
  }

  /** The slider over the tokens that the model wrote. */
  fillSteps() {
    const { view, state, model } = this.page;
    const text = model.texts[view.facts.queries];
    const count = view.map.whole ? text.generated : 0;
    if (!count) {
      this.steps.replaceChildren();
      return;
    }
    this.slider = make("input", {
      type: "range",
      min: 1,
      max: count,
      step: 1,
      "aria-label": "The tokens that the model wrote",
    });
    this.slider.value = (state.step ?? 0) + 1;
    this.slider.addEventListener("input", () => this.toStep(Number(this.slider.value) - 1));
    this.said = make("span", {});
    const prev = make(
      "button",
      { type: "button", "aria-label": "one token back", onclick: () => this.toStep((state.step ?? count) - 1) },
      "‹",
    );
    const next = make(
      "button",
      { type: "button", "aria-label": "one token on", onclick: () => this.toStep((state.step ?? -1) + 1) },
      "›",
    );
    this.steps.replaceChildren(make("b", {}, "What it wrote"), prev, this.slider, next, this.said);
    this.sayStep();
  }

  /** Pin the row from which a token was predicted: that of the token before it. */
  toStep(step) {
    const { view, state, model } = this.page;
    const text = model.texts[view.facts.queries];
    if (step < 0 || step >= text.generated) return;
    const maker = text.token.labels.length - text.generated + step - 1;
    state.change({ query: view.queries.numberOf(maker), key: null, step });
  }

  sayStep() {
    const { view, state, model } = this.page;
    const text = model.texts[view.facts.queries];
    if (!this.said || !text.generated) return;
    const { step } = state;
    if (step === null) {
      this.said.textContent = `${text.generated} tokens: slide to see what each looked at`;
      return;
    }
    this.slider.value = step + 1;
    const token = text.token.labels.length - text.generated + step;
    this.said.replaceChildren(
      `${step + 1} of ${text.generated}: “`,
      make("bdi", { class: "named" }, text.token.labels[token]),
      "”, predicted from “",
      make("bdi", { class: "named" }, text.token.labels[token - 1]),
      "”",
    );
  }
}
