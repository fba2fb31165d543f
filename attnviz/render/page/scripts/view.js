// A map in the reader's unit, words or tokens: which of them are shown, and the weights between them.

const MATRICES = 12;

class Axis {
  constructor(axis, tokens) {
    Object.assign(this, axis);
    this.count = this.labels.length;
    this.stops = [...this.starts.slice(1), tokens];
    this.special = new Set(axis.special);
    this.punctuation = new Set(axis.punctuation);
    this.function = new Set(axis.function);
  }

  name(i) {
    return this.names[i] ?? this.labels[i];
  }

  find(name) {
    for (let i = 0; i < this.count; i++) if (this.name(i) === name) return i;
    const folded = name.toLowerCase();
    for (let i = 0; i < this.count; i++) if (this.labels[i].toLowerCase() === folded) return i;
    return null;
  }

  numberOf(token) {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= token) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

class View {
  /** `unit` is word or token; with `special` all units are shown, else rows may be `renormalised` to what is shown. */
  constructor(map, model, unit, special, renormalised) {
    Object.assign(this, { map, special, renormalised: renormalised && !special && map.whole });
    const facts = map.facts;
    const texts = [model.texts[facts.queries], model.texts[facts.keys]];
    this.unit = facts.long ? facts.unit : unit;
    const axes = facts.long ? facts.long.axes : texts.map((text) => text[unit]);
    const sizes = texts.map((text) => text.token.labels.length);
    this.queries = new Axis(axes[0], sizes[0]);
    this.one = facts.queries === facts.keys;
    this.keys = this.one ? this.queries : new Axis(axes[1], sizes[1]);
    const hidden = (axis) => (i) => axis.special.has(i) || axis.punctuation.has(i);
    this.sink = this.one && facts.causal ? 0 : -1;
    this.rows = this.shown(this.queries, hidden(this.queries));
    this.columns = this.shown(this.keys, (i) => hidden(this.keys)(i) || i === this.sink);
    this.isColumn = new Uint8Array(this.keys.count);
    for (const column of this.columns) this.isColumn[column] = 1;
    this.isRow = new Uint8Array(this.queries.count);
    for (const row of this.rows) this.isRow[row] = 1;
    this.kept = new Map();
    this.out = new Float32Array(map.m);
    if (!map.whole) return;
    this.unitOf = new Int32Array(map.m);
    for (let i = 0; i < this.keys.count; i++) this.unitOf.fill(i, this.keys.starts[i], this.keys.stops[i]);
  }

  get facts() {
    return this.map.facts;
  }

  shown(axis, hidden) {
    const all = [...Array(axis.count).keys()];
    const some = this.special ? all : all.filter((i) => !hidden(i));
    return some.length < Math.min(2, axis.count) ? all : some;
  }

  /** Fill `to` from `at` on with what one unit gives to each; of shown units alone if rows are renormalised. */
  row(head, query, to, at = 0) {
    this.given(head, query, to, at);
    if (this.renormalised) this.renormalise(to, at, this.keys.count);
  }

  /** Fill `to` from `at` on with what one unit gives to each: over a unit's tokens the mean of what they give. */
  given(head, query, to, at = 0) {
    const m = this.keys.count;
    if (!this.map.whole) {
      this.map.row(head, query, this.out);
      to.set(this.out.subarray(0, m), at);
      return;
    }
    to.fill(0, at, at + m);
    const [start, stop] = [this.queries.starts[query], this.queries.stops[query]];
    const { out, unitOf } = this;
    const share = 1 / (stop - start);
    for (let token = start; token < stop; token++) {
      this.map.row(head, token, out);
      const seen = this.map.length(token);
      for (let key = 0; key < seen; key++) to[at + unitOf[key]] += out[key] * share;
    }
  }

  renormalise(to, at, m) {
    let sum = 0;
    for (let key = 0; key < m; key++) sum += this.isColumn[key] ? to[at + key] : 0;
    for (let key = 0; key < m; key++) to[at + key] = this.isColumn[key] && sum ? to[at + key] / sum : 0;
  }

  /** All weights of a head (queries × keys), of which the last few are kept. */
  matrix(head) {
    let found = this.kept.get(head);
    if (found) this.kept.delete(head);
    else {
      const [n, m] = [this.queries.count, this.keys.count];
      found = new Float32Array(n * m);
      for (let query = 0; query < n; query++) this.row(head, query, found, query * m);
      if (this.kept.size >= MATRICES) this.kept.delete(this.kept.keys().next().value);
    }
    this.kept.set(head, found);
    return found;
  }

  /** The mean of some heads. */
  mean(heads) {
    if (heads.length === 1) return this.matrix(heads[0]);
    const mean = new Float32Array(this.queries.count * this.keys.count);
    for (const head of heads) {
      const each = this.matrix(head);
      for (let i = 0; i < mean.length; i++) mean[i] += each[i] / heads.length;
    }
    return mean;
  }

  weight(head, query, key) {
    const row = new Float32Array(this.keys.count);
    this.row(head, query, row);
    return row[key];
  }

  /** A weight between units by the first bytes alone, which is fast: for means over many. */
  about(head, query, key) {
    const { queries, keys } = this;
    let sum = 0;
    for (let i = queries.starts[query]; i < queries.stops[query]; i++)
      for (let j = keys.starts[key]; j < keys.stops[key]; j++) sum += this.map.about(head, i, j);
    return sum / (queries.stops[query] - queries.starts[query]);
  }

  /** What stands in the cells of the picture of some heads: values (rows × columns), their `top`, and the units. */
  cells(heads) {
    const { map } = this;
    if (map.whole) {
      const [mean, m] = [this.mean(heads), this.keys.count];
      const values = new Float32Array(this.rows.length * this.columns.length);
      const { columns } = this;
      let [at, top] = [0, 0];
      for (const row of this.rows)
        for (let c = 0; c < columns.length; c++) {
          const value = mean[row * m + columns[c]];
          values[at++] = value;
          if (value > top) top = value;
        }
      return { values, top, rows: this.rows, columns, down: 1, across: 1 };
    }
    const long = map.facts.long;
    const values = new Float32Array(map.cells);
    for (const head of heads)
      for (let i = 0; i < map.cells; i++)
        values[i] += map.cell(head, (i / long.columns) | 0, i % long.columns) / heads.length;
    const firsts = (count, first, step) => Array.from({ length: count }, (_, i) => first + i * step);
    return {
      values,
      top: largest(values),
      rows: firsts(long.rows, long.row, long.down),
      columns: firsts(long.columns, long.column, long.across),
      down: long.down,
      across: long.across,
    };
  }

  /** The regions of the heads that are shown which are kept exactly: those of one head. */
  regions(heads) {
    return this.map.whole || heads.length > 1 ? [] : this.map.regions[heads[0]];
  }

  /** The cells of a region of one head, one by one: without the units that are not shown. */
  cellsOf(region) {
    const rows = this.rows.filter((i) => i >= region.query && i < region.query + region.rows);
    const columns = this.columns.filter((i) => i >= region.key && i < region.key + region.columns);
    const values = Float32Array.from({ length: rows.length * columns.length }, (_, i) =>
      this.map.inRegion(region, rows[Math.floor(i / columns.length)], columns[i % columns.length]),
    );
    return { values, top: largest(values), rows, columns, down: 1, across: 1 };
  }

  /** Whether a weight between two units is known in each of some heads, though it may be 0. */
  isKnown(heads, query, key) {
    return this.map.whole || heads.every((head) => this.map.regionAt(head, query, key));
  }

  /** What each query gives to units that are not shown. */
  unseen(heads) {
    const share = this.map.facts.measure?.share ?? true;
    if (!this.map.whole || this.special || this.renormalised || !share) return null;
    const [mean, m] = [this.mean(heads), this.keys.count];
    return this.rows.map((row) => {
      let sum = 0;
      for (let key = 0; key < m; key++) if (!this.isColumn[key]) sum += mean[row * m + key];
      return sum;
    });
  }

  /** What each key gets from the queries that are shown, on average. */
  received(heads) {
    const got = new Float32Array(this.keys.count);
    if (this.map.whole) {
      const [mean, m] = [this.mean(heads), this.keys.count];
      for (const row of this.rows) for (let key = 0; key < m; key++) got[key] += mean[row * m + key] / this.rows.length;
      return got;
    }
    const share = this.rows.length * heads.length;
    const see = (key, weight) => {
      got[key] += weight / share;
    };
    for (const head of heads) for (const query of this.rows) this.map.links(head, query, see);
    return got;
  }

  /** What one unit gives to all, or gets from all, in some heads. */
  of(heads, { query, key }) {
    if (query !== null) {
      const m = this.keys.count;
      const [found, row] = [new Float32Array(m), new Float32Array(m)];
      for (const head of heads) {
        this.row(head, query, row);
        for (let i = 0; i < m; i++) found[i] += row[i] / heads.length;
      }
      return found;
    }
    const found = new Float32Array(this.queries.count);
    if (this.map.whole) {
      const [mean, m] = [this.mean(heads), this.keys.count];
      for (let i = 0; i < found.length; i++) found[i] = mean[i * m + key];
      return found;
    }
    for (const head of heads)
      for (let i = 0; i < found.length; i++)
        this.map.links(head, i, (other, weight) => {
          if (other === key) found[i] += weight / heads.length;
        });
    return found;
  }

  /** How much a word matters in a head: the most it gives to another that is shown, what it gets, or one weight. */
  score(head, { query, key }) {
    if (query !== null && key !== null) return this.weight(head, query, key);
    if (query !== null) {
      const row = new Float32Array(this.keys.count);
      this.row(head, query, row);
      let most = 0;
      for (const column of this.columns) if (!this.one || column !== query) most = Math.max(most, row[column]);
      return most;
    }
    let most = 0;
    if (this.map.whole) {
      for (const row of this.rows) if (!this.one || row !== key) most = Math.max(most, this.about(head, row, key));
      return most;
    }
    for (const row of this.rows)
      this.map.links(head, row, (found, weight) => {
        if (found === key) most = Math.max(most, weight);
      });
    return most;
  }
}
