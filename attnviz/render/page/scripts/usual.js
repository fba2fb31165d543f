// How unusual a weight is for its head, as `attnviz find` says it: see analysis/text/usual.py.

/** What the units of a view see in a layer, and what they would give if they gave all tokens the same. */
class Sight {
  constructor(view, layer) {
    const { queries, keys, map } = view;
    const [left, right] = map.facts.windows[layer];
    this.firsts = new Int32Array(queries.count);
    this.ends = new Int32Array(queries.count); // behind the last
    this.even = new Float64Array(queries.count);
    for (let i = 0; i < queries.count; i++) {
      const [start, stop] = [queries.starts[i], queries.stops[i]];
      let [least, most] = [map.m, 0];
      for (let token = start; token < stop; token++) {
        const low = left === null ? 0 : Math.max(0, token - left);
        const high = right === null ? map.m : Math.min(map.m, token + right + 1);
        this.even[i] += 1 / Math.max(high - low, 1) / (stop - start);
        [least, most] = [Math.min(least, low), Math.max(most, high)];
      }
      if (least >= most) continue; // a unit without tokens
      this.firsts[i] = keys.numberOf(least);
      this.ends[i] = keys.numberOf(most - 1) + 1;
    }
  }

  sees(query, key) {
    return key >= this.firsts[query] && key < this.ends[query];
  }
}

/**
 * How many times what is usual a weight is: beside the mean weight to its key of the other queries that see it, and
 * that of the other pairs at its distance. Neither counts for less than what even attention would give.
 */
function liftOf(view, head, query, key) {
  const { queries, keys, map } = view;
  const sight = new Sight(view, Math.floor(head / map.facts.heads));
  const row = new Float32Array(keys.count);
  const [beside, along] = [new Mean(), new Mean()];
  let [weight, total] = [0, 0];
  for (let i = 0; i < queries.count; i++) {
    view.given(head, i, row);
    const across = i + key - query;
    total += row.reduce((sum, each) => sum + each, 0);
    if (i === query) weight = row[key];
    else {
      if (sight.sees(i, key)) beside.add(row[key]);
      if (view.one && sight.sees(i, across)) along.add(row[across]);
    }
  }
  const share = map.facts.measure?.share ?? true;
  const spread = share ? 1 : total / queries.count; // what a row has on average
  const even = sight.even[query] * spread * (keys.stops[key] - keys.starts[key]);
  const over = (mean) => weight / Math.max(mean.value, even, Number.MIN_VALUE);
  return { toKey: over(beside), atDistance: view.one ? over(along) : null };
}

class Mean {
  constructor() {
    [this.sum, this.count] = [0, 0];
  }

  add(value) {
    this.sum += value;
    this.count++;
  }

  get value() {
    return this.count ? this.sum / this.count : 0;
  }
}
