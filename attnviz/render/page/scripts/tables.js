// Tables are sorted by the column whose head is pressed; without scripts they stay in their order.

function sortable(table) {
  const body = table.tBodies[0];
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    const sort = () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
      const numbers = [...body.rows].every((row) => row.cells[column].dataset.v !== undefined);
      const compare = (a, b) => (numbers ? value(a) - value(b) : value(a).localeCompare(value(b)));
      body.append(...[...body.rows].sort((a, b) => (down ? compare(b, a) : compare(a, b))));
    };
    head.replaceChildren(make("button", { type: "button", onclick: sort }, ...head.childNodes));
  }
}
