// The weights: unpacked in the browser, and read row by row.

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** All weights of a map, head by head: a byte for the square root of each, and one more for the strongest of a row. */
class WholeMap {
  constructor(facts, texts, bytes) {
    Object.assign(this, { facts, bytes, whole: true });
    this.heads = facts.layers.length * facts.heads;
    this.n = texts[facts.queries].token.labels.length;
    this.m = texts[facts.keys].token.labels.length;
    const { n } = this;
    this.starts = new Int32Array(n + 1); // of the first bytes of each row, within a head
    this.seconds = new Int32Array(n + 1);
    for (let i = 0; i < n; i++) {
      const length = this.length(i);
      this.starts[i + 1] = this.starts[i] + length;
      this.seconds[i + 1] = this.seconds[i] + Math.min(facts.exact, length);
    }
    this.size = this.starts[n];
    // Layer by layer come the first bytes of its heads; the second bytes of all follow.
    this.after = this.heads * this.size;
    this.table = Float32Array.from({ length: 256 }, (_, byte) => Math.min(1, (byte / facts.steps) ** 2));
    this.counts = new Int32Array(256);
  }

  length(query) {
    return this.facts.causal ? query + 1 : this.m;
  }

  /** Fill `out` (m) with the weights of one token, as exact as they are known. */
  row(head, query, out) {
    const { bytes, table, counts, facts } = this;
    const length = this.length(query);
    const start = head * this.size + this.starts[query];
    let second = this.after + head * this.seconds[this.n] + this.seconds[query];
    out.fill(0);
    counts.fill(0);
    for (let i = 0; i < length; i++) counts[bytes[start + i]]++;
    let left = Math.min(facts.exact, length);
    let least = 255;
    while (counts[least] < left) left -= counts[least--];
    for (let i = 0; i < length; i++) {
      const byte = bytes[start + i];
      if (byte > least || (byte === least && left-- > 0)) {
        const root = (byte - 0.5 + (bytes[second++] + 0.5) / 256) / facts.steps;
        out[i] = root <= 0 ? 0 : Math.min(1, root * root);
      } else out[i] = table[byte];
    }
  }

  /** What a weight is made of, where the page has it: the product q·k, what comes of it step by step, and the logit. */
  terms(head, query, key) {
    const { scales, softcaps, biased } = this.facts.formula;
    const layer = Math.floor(head / this.facts.heads);
    const at = head * this.size + this.starts[query] + key;
    const product = this.scores[at];
    const [scaled, cap] = [product * scales[layer], softcaps[layer] ?? null];
    const capped = cap === null ? scaled : cap * Math.tanh(scaled / cap);
    const bias = biased ? this.scores[this.heads * this.size + at] : 0;
    return { product, scale: scales[layer], scaled, cap, capped, bias, logit: capped + bias };
  }

  /** The share of a query that a sink without a value takes. */
  sink(head, query) {
    const { sinks, biased } = this.facts.formula;
    return sinks ? this.scores[(biased ? 2 : 1) * this.heads * this.size + head * this.n + query] : 0;
  }

  /** The query and key vectors of a weight, where the page has them. */
  pair(head, query, key) {
    const { vectors, size } = this.facts.formula;
    const place = this.vectors ? vectors.indexOf(head) : -1;
    if (place < 0) return null;
    const one = (first) => this.vectors.subarray(first * size, (first + 1) * size);
    return [one(place * this.n + query), one(vectors.length * this.n + place * this.m + key)];
  }

  /** One weight, by its first byte alone. */
  about(head, query, key) {
    return key < this.length(query) ? this.table[this.bytes[head * this.size + this.starts[query] + key]] : 0;
  }
}

/** The strongest links of each unit, pooled cells, and regions that are not pooled: what is kept of a long text. */
class LongMap {
  constructor(facts, bytes) {
    Object.assign(this, { facts, bytes, whole: false });
    const long = facts.long;
    this.heads = facts.layers.length * facts.heads;
    this.n = long.axes[0].labels.length;
    this.m = long.axes[1].labels.length;
    this.cells = long.rows * long.columns;
    this.after = this.heads * this.cells;
    this.count = this.heads * this.n * long.links;
    this.regions = Array.from({ length: this.heads }, () => []);
    let at = this.after + 5 * this.count;
    const size = long.regions.reduce((sum, [, , , rows, columns]) => sum + rows * columns, 0);
    for (const [head, query, key, rows, columns] of long.regions) {
      this.regions[head].push({ query, key, rows, columns, at, second: at + size });
      at += rows * columns;
    }
  }

  /** A weight of the square root that stands in two bytes. */
  exact(first, second) {
    const root = (this.bytes[first] - 0.5 + (this.bytes[second] + 0.5) / 256) / this.facts.steps;
    return root <= 0 ? 0 : Math.min(1, root * root);
  }

  /** The region of a head that has a link between two units, if one was kept. */
  regionAt(head, query, key) {
    return this.regions[head].find(
      (each) =>
        query >= each.query && query < each.query + each.rows && key >= each.key && key < each.key + each.columns,
    );
  }

  inRegion(region, query, key) {
    const at = (query - region.query) * region.columns + key - region.key;
    return this.exact(region.at + at, region.second + at);
  }

  /** Call `see(key, weight)` for each link that is kept of a unit. */
  links(head, query, see) {
    const { bytes, after, count, facts } = this;
    const start = (head * this.n + query) * facts.long.links;
    for (let at = start; at < start + facts.long.links; at++) {
      const weight = this.exact(after + at, after + count + at);
      const keys = after + 2 * count + at;
      const key = bytes[keys] | (bytes[keys + count] << 8) | (bytes[keys + 2 * count] << 16);
      if (key < this.m && weight > 0) see(key, weight);
    }
  }

  row(head, query, out) {
    out.fill(0);
    this.links(head, query, (key, weight) => {
      out[key] = weight;
    });
    for (const region of this.regions[head])
      if (query >= region.query && query < region.query + region.rows)
        for (let key = region.key; key < region.key + region.columns; key++)
          out[key] = this.inRegion(region, query, key);
  }

  cell(head, row, column) {
    return (this.bytes[head * this.cells + row * this.facts.long.columns + column] / this.facts.steps) ** 2;
  }
}

async function openMap(model, number, { weights, scores, vectors }) {
  const facts = model.maps[number];
  const bytes = await inflate(bytesOf(weights[number]));
  if (facts.long) return new LongMap(facts, bytes);
  const map = new WholeMap(facts, model.texts, bytes);
  const floats = async (base64) => new Float32Array((await inflate(bytesOf(base64))).buffer);
  if (scores?.[number]) map.scores = await floats(scores[number]);
  if (vectors?.[number]) map.vectors = await floats(vectors[number]);
  return map;
}
