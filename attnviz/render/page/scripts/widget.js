// In a notebook's widget the page has a root of its own, so that its style and that of the notebook leave each other be.

export default {
  render({ model, el }) {
    const root = el.shadowRoot ?? el.attachShadow({ mode: "open" });
    const style = make("style", {});
    style.textContent = model.get("style");
    const body = make("div", {});
    body.innerHTML = model.get("body"); // made of escaped text
    root.replaceChildren(style, body);
    // Keys that the page hears are not the notebook's commands.
    el.setAttribute("data-lm-suppress-shortcuts", "true");
    const gone = [];
    const place = {
      framed: false,
      keys: body,
      read: () => model.get("state"),
      write: (state) => {
        model.set("state", state);
        model.save_changes();
      },
      watch: (see) => {
        const told = () => see(model.get("state"));
        model.on("change:state", told);
        gone.push(() => model.off("change:state", told));
      },
    };
    const page = root.getElementById("page");
    page.tabIndex = -1; // a click on it lets it hear keys
    const packed = (name) => model.get(name).map((bytes) => (bytes.byteLength ? bytes : undefined));
    render({
      el: page,
      model: model.get("content"),
      packed: { weights: packed("weights"), scores: packed("scores"), vectors: packed("vectors") },
      place,
    });
    return () => {
      for (const leave of gone) leave();
    };
  },
};
