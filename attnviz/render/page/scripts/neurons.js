// A product of query and key, dimension by dimension.

const NAMED = 5; // dimensions that are named below the bars
const BAR = { width: 640, height: 46, gap: 4 };
const SVG = "http://www.w3.org/2000/svg";

class Neurons {
  constructor(page) {
    this.page = page;
  }

  /** The bars of the query vector, the key vector and their products, and the dimensions that count most. */
  strip(head, query, key, product) {
    const { map, facts } = this.page.view;
    const vectors = map.pair(head, query, key);
    if (!vectors)
      return facts.formula.unlisted ? [make("p", { class: "hint" }, `${this.why(facts)}.`)] : this.elsewhere();
    const [q, k] = vectors;
    const products = q.map((value, i) => value * k[i]);
    const sum = (keep) => products.reduce((total, each) => total + (keep(each) ? each : 0), 0);
    const order = [...products.keys()].sort((a, b) => Math.abs(products[b]) - Math.abs(products[a])).slice(0, NAMED);
    const listed = order.map((i) =>
      make("li", {}, `d${i}: ${signed(q[i])} × ${signed(k[i])} = `, bold(signed(products[i]))),
    );
    return [
      make(
        "figure",
        { class: "neurons" },
        make(
          "figcaption",
          { class: "hint" },
          `The product is a sum over ${q.length} dimensions: those above zero make `,
          bold(signed(sum((each) => each > 0))),
          ", those below ",
          bold(signed(sum((each) => each < 0))),
          ", together ",
          bold(signed(sum(() => true))),
          ". The vectors are those that are multiplied: norms and rotations are done.",
        ),
        this.bars("query", q, order),
        this.bars("key", k, order),
        this.bars("q × k", products, order),
        make("ol", { "aria-label": `The dimensions that make most of ${signed(product)}` }, ...listed),
      ),
    ];
  }

  why(facts) {
    const { unlisted } = facts.formula;
    return `Not dimension by dimension: ${unlisted}`;
  }

  /** Where the page has vectors of other heads only, it says so. */
  elsewhere() {
    const { vectors } = this.page.view.facts.formula;
    if (!vectors.length) return [];
    const heads = vectors.slice(0, 3).map((head) => this.page.state.headName(head));
    const more = vectors.length > 3 ? ", …" : "";
    return [make("p", { class: "hint" }, `Dimension by dimension the page has ${heads.join(", ")}${more} only.`)];
  }

  bars(name, values, order) {
    const { width, height } = BAR;
    const top = Math.max(...values.map(Math.abs)) || 1;
    const step = width / values.length;
    const [up, down] = this.page.colours.hues;
    const svg = document.createElementNS(SVG, "svg");
    const said = `${name}: ${values.length} numbers from ${signed(Math.min(...values))} to ${signed(Math.max(...values))}`;
    for (const [key, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": said }))
      svg.setAttribute(key, value);
    svg.setAttribute("preserveAspectRatio", "none");
    const rect = (x, y, w, h, fill, title) => {
      const one = document.createElementNS(SVG, "rect");
      for (const [key, value] of Object.entries({ x, y, width: w, height: h, fill })) one.setAttribute(key, value);
      if (title) {
        const text = document.createElementNS(SVG, "title");
        text.textContent = title;
        one.append(text);
      }
      svg.append(one);
    };
    for (const i of order) rect(i * step, 0, step, height, this.page.colours.wash);
    const middle = height / 2;
    values.forEach((value, i) => {
      const size = (Math.abs(value) / top) * (middle - 1);
      const inset = Math.min(1, step * 0.15);
      const y = value < 0 ? middle : middle - size;
      rect(i * step + inset, y, step - 2 * inset, size, value < 0 ? down : up, `d${i}: ${signed(value)}`);
    });
    rect(0, middle - 0.25, width, 0.5, this.page.colours.frame);
    return make("div", { class: "bars" }, make("span", {}, name), svg, make("small", {}, `± ${signed(top)}`));
  }
}
