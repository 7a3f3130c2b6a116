/** Tables of the page: one heading per row. */

import { make } from "./dom.js";

/**
 * @typedef {object} Row
 * @property {(Node|string)[]} heading
 * @property {(Node|string)[]} cells
 * @property {string} [className]
 * @property {string} [name] For tests and styles, as `data-name`.
 */

/**
 * Replace the rows of a table; its caption stays.
 * @param {HTMLTableElement} table @param {Row[]} rows
 */
export function fillTable(table, rows) {
  const body = table.tBodies[0] ?? table.createTBody();
  body.replaceChildren(...rows.map(({ heading, cells, className = "", name }) => {
    const row = make(
      "tr",
      { className },
      make("th", { scope: "row" }, ...heading),
      ...cells.map((content) => make("td", {}, content)),
    );
    if (name !== undefined) row.dataset.name = name;
    return row;
  }));
}
