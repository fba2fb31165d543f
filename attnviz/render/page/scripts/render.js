// Where a page stands, and how it is drawn there.

/** Where a page is: what hears its keys, and where its state is read and written: in the address, if it has one. */
function ownPlace() {
  const framed = location.href.startsWith("about:");
  return {
    framed,
    keys: document,
    read: () => location.hash.slice(1),
    write(state) {
      try {
        history.replaceState(null, "", `#${state}`);
      } catch {
        // A frame without an address of its own.
      }
    },
    watch: (see) => window.addEventListener("hashchange", () => see(location.hash.slice(1))),
  };
}

/**
 * Draw the page of `model` in the element `el`; `packed` are the maps' `weights`, `scores` and `vectors`, as bytes or in
 * base64. `place` says where the page is.
 */
async function render({ el, model, packed = model, place = ownPlace() }) {
  if (typeof DecompressionStream === "undefined") {
    el.append(
      make(
        "p",
        { class: "bad" },
        "This browser can’t unpack the weights (it has no DecompressionStream). Open the page in one from 2023 or later: Chrome 80, Firefox 113, Safari 16.4.",
      ),
    );
    return null;
  }
  const page = new Page(el, model, packed, place);
  // From a frame nothing can be saved, and a link to a state would leave what has no address of its own.
  el.classList.toggle("framed", place.framed);
  if (place.framed || place.keys !== document)
    for (const link of el.querySelectorAll(".links a"))
      link.addEventListener("click", (event) => {
        event.preventDefault();
        page.go(link.getAttribute("href").slice(1));
      });
  watchTheme(el, (dark, printed) => page.recolour(dark, printed));
  await page.go(place.read());
  el.dispatchEvent(new CustomEvent("attnviz", { detail: page, bubbles: true, composed: true }));
  return page;
}
