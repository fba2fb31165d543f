// The report on a corpus: its tables can be sorted, and a head that is shown in one map is shown in all of them.

class Report {
  constructor(element, model) {
    Object.assign(this, { element, model, over: null, pinned: null });
    for (const table of element.querySelectorAll("table.sorted")) sortable(table);
    this.section = element.querySelector(".maps");
    this.maps = [...element.querySelectorAll(".map")].map((each) => new HeadMap(this, each));
    if (!this.maps.length) return;
    this.read();
    watchTheme(element, (dark) => this.recolour(dark));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.pin(null);
    });
    window.addEventListener("hashchange", () => {
      this.read();
      this.mark();
      if (this.pinned !== null) this.section.scrollIntoView({ block: "nearest" });
    });
    new ResizeObserver(() => {
      if (this.width !== this.section.clientWidth) this.draw();
    }).observe(this.section);
  }

  recolour(dark) {
    const style = getComputedStyle(this.element);
    this.colours = new Palette(this.model.palettes[dark ? "ember" : "ink"], dark, style);
    this.signed = new Palette(this.model.palettes[dark ? "ember-signed" : "ink-signed"], dark, style);
    this.draw();
  }

  draw() {
    this.width = this.section.clientWidth;
    for (const map of this.maps) map.draw(map.signed ? this.signed : this.colours);
  }

  mark() {
    for (const map of this.maps) map.mark();
  }

  hover(head) {
    if (head === this.over) return;
    this.over = head;
    this.mark();
  }

  pin(head) {
    this.pinned = head;
    this.over = null;
    this.mark();
    const name = head === null ? "" : this.maps[0].name(head).replace("L", "head=").replace(" H", ".");
    history.replaceState(null, "", name ? `#${name}` : location.pathname + location.search);
  }

  /** Pin the head that the address names, as the links of the roles do: `#head=5.7`. */
  read() {
    const [, layer, head] = /^#head=(\d+)\.(\d+)$/.exec(location.hash) ?? [];
    const [map] = this.maps;
    const [row, column] = [map.rows.indexOf(`L${layer}`), map.columns.indexOf(`H${head}`)];
    this.pinned = row >= 0 && column >= 0 ? row * map.columns.length + column : null;
  }
}

/** Bring the report in the element `el` to life; `model` holds the colours. */
function render({ el, model }) {
  const report = new Report(el, model);
  el.dataset.ready = "1";
  el.dispatchEvent(new CustomEvent("attnviz", { detail: report, bubbles: true }));
  return report;
}
