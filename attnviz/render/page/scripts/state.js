// What the reader has chosen, and the address that says it.

const ORDERS = ["layer", "link", "word", "entropy", "sink", "distance", "role"];
const MOST_HEADS = 64;

/** What is pinned is `query` and `key`; what the pointer is at is `over`, and goes before it. */
class State {
  constructor(model) {
    this.model = model;
    this.listeners = [];
    this.over = null; // { query, key } or { head }
    this.reset(model.map);
  }

  reset(map) {
    const facts = this.model.maps[map];
    this.map = map;
    Object.assign(this, {
      heads: [],
      query: null,
      key: null,
      unit: facts.unit === "token" ? "token" : "word",
      order: "layer",
      special: facts.special,
      renormalised: false,
      least: this.usualLeast,
      log: false,
      shared: false,
      step: null,
    });
    this.toAnswer();
  }

  /** Show a region of a pooled map as it is; null is the whole map. */
  enlarge(region) {
    this.change({ region: region && [region.query, region.key] });
  }

  get facts() {
    return this.model.maps[this.map];
  }

  /** Show what the page opens with: the head of the strongest link, and that link. */
  toAnswer() {
    const { open, links } = this.facts;
    this.heads = open.length ? open.slice(0, MOST_HEADS) : [0];
    [this.query, this.key] = [null, null];
    const link = links.find(([head]) => head === this.heads[0]);
    if (link && this.heads.length === 1) [, this.query, this.key] = link;
    this.order = "layer";
    this.region = null; // its first units, where one is enlarged
  }

  /** The heads that are shown: those in hand, or the one under the pointer. */
  get shown() {
    return this.over?.head !== undefined && this.over.head !== null ? [this.over.head] : this.heads;
  }

  /** The units that are shown: those under the pointer, or the pinned ones. */
  get at() {
    if (this.over && (this.over.query ?? this.over.key ?? null) !== null)
      return { query: this.over.query ?? null, key: this.over.key ?? null };
    return { query: this.query, key: this.key };
  }

  hover(over) {
    const same = JSON.stringify(over) === JSON.stringify(this.over);
    if (!same) {
      this.over = over;
      this.tell("hover");
    }
  }

  change(values) {
    this.over = null;
    Object.assign(this, values);
    this.tell("change");
  }

  tell(what) {
    for (const listener of this.listeners) listener(what);
  }

  /** Pin a weight; one that is pinned is freed. */
  pinLink(query, key) {
    const same = this.query === query && this.key === key;
    this.change({ query: same ? null : query, key: same ? null : key, step: null });
  }

  /** Pin a word as one that looks or is looked at; beside one that is pinned it makes a pair. */
  pinWord(unit, role, one) {
    const now = { query: this.query, key: this.key };
    const place = ["query", "key"].find((name) => now[name] === unit && (one || name === role));
    const free = ["query", "key"].filter((name) => now[name] === null);
    if (place) now[place] = null;
    else if (free.length === 1 && (one || free[0] === role)) now[free[0]] = unit;
    else if (!one && now[role] !== null) now[role] = unit;
    else Object.assign(now, { query: null, key: null, [role]: unit });
    this.change({ ...now, step: null });
  }

  addHead(head) {
    const rest = this.heads.filter((each) => each !== head);
    if (rest.length === this.heads.length) rest.push(head);
    const heads = rest.slice(-MOST_HEADS);
    if (heads.length) this.change({ heads });
    else this.onlyAnswer();
  }

  onlyAnswer() {
    this.over = null;
    this.toAnswer();
    this.tell("change");
  }

  /** The mean of a layer's heads. */
  wholeLayer(layer) {
    const { heads } = this.facts;
    this.change({ heads: Array.from({ length: heads }, (_, i) => layer * heads + i) });
  }

  onlyHead(head) {
    this.change({ heads: [head] });
  }

  /** Free what is pinned; where nothing is, go back to the answer. */
  free() {
    if (this.over) this.hover(null);
    if (this.region) this.enlarge(null);
    else if (this.query !== null || this.key !== null) this.change({ query: null, key: null, step: null });
    else this.onlyAnswer();
  }

  /** The least weight of a line, where the reader has chosen none: what is spread over all layers is small. */
  get usualLeast() {
    return this.facts.measure?.byLayer ? 0.01 : 0.1;
  }

  headName(head) {
    const { layers, heads, measure } = this.facts;
    if (measure?.byLayer) return `L${layers[head]}`;
    return `L${layers[Math.floor(head / heads)]} H${head % heads}`;
  }

  /** The part of the address behind the #. */
  write(view) {
    const { layers, heads } = this.facts;
    const said = [`head=${this.heads.map((head) => `${layers[Math.floor(head / heads)]}.${head % heads}`).join(",")}`];
    const name = (axis, i) => encodeURIComponent(axis.name(i)).replaceAll("%3A", ":");
    if (this.query !== null && this.key !== null)
      said.push(`pin=${name(view.queries, this.query)},${name(view.keys, this.key)}`);
    else if (this.query !== null) said.push(`word=${name(view.queries, this.query)}`);
    else if (this.key !== null) said.push(`key=${name(view.keys, this.key)}`);
    if (this.map !== this.model.map) said.push(`map=${this.facts.name}`);
    if (this.unit !== (this.facts.unit === "token" ? "token" : "word")) said.push(`unit=${this.unit}`);
    if (this.order !== "layer") said.push(`order=${this.order}`);
    if (this.special) said.push("special=1");
    if (this.renormalised) said.push("renormalised=1");
    if (this.least !== this.usualLeast) said.push(`min=${this.least}`);
    if (this.log) said.push("scale=log");
    if (this.shared) said.push("shared=1");
    if (this.step !== null) said.push(`step=${this.step}`);
    if (this.region) said.push(`region=${this.region.join(".")}`);
    return said.join("&");
  }

  /** Read what an address says, but for words, which `readWords` finds when the map is open. */
  read(address) {
    const said = new Map(
      address
        .split("&")
        .filter(Boolean)
        .map((part) => {
          const at = part.indexOf("=");
          return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
        }),
    );
    const map = this.model.maps.findIndex((each) => each.name === said.get("map"));
    this.reset(map < 0 ? this.model.map : map);
    if (!said.size) return said;
    const { layers, heads } = this.facts;
    const found = (said.get("head") ?? "").split(",").map((name) => {
      const [layer, head] = name.split(".").map(Number);
      const place = layers.indexOf(layer);
      return place >= 0 && Number.isInteger(head) && head >= 0 && head < heads ? place * heads + head : null;
    });
    const there = [...new Set(found.filter((head) => head !== null))].slice(0, MOST_HEADS);
    if (there.length) this.heads = there;
    [this.query, this.key] = [null, null];
    if (["word", "token"].includes(said.get("unit"))) this.unit = said.get("unit");
    if (ORDERS.includes(said.get("order"))) this.order = said.get("order");
    if (!this.facts.long) this.special = said.get("special") === "1";
    this.renormalised = said.get("renormalised") === "1" && !this.special;
    this.log = said.get("scale") === "log";
    this.shared = said.get("shared") === "1";
    const least = Number(said.get("min"));
    if (said.has("min") && least >= 0 && least <= 1) this.least = least;
    const step = Number(said.get("step"));
    if (/^\d+\.\d+$/.test(said.get("region") ?? "")) this.region = said.get("region").split(".").map(Number);
    if (said.has("step") && Number.isInteger(step) && step >= 0) this.step = step;
    return said;
  }

  readWords(said, view) {
    const decoded = (text) => {
      try {
        return decodeURIComponent(text);
      } catch {
        return text;
      }
    };
    const find = (axis, text) => (text === undefined ? null : axis.find(decoded(text)));
    if (said.has("pin")) {
      const [query, key] = said.get("pin").split(",");
      [this.query, this.key] = [find(view.queries, query), find(view.keys, key)];
    } else {
      this.query = find(view.queries, said.get("word"));
      this.key = find(view.keys, said.get("key"));
    }
  }
}
