// @ts-check
// Building blocks that several pages use.

import { h } from "./dom.js";
import { t } from "./texts.js";

/** @typedef {import("./dom.js").Child} Child */

/** The signals in the order in which the window lists them. */
export const SIGNALS = /** @type {const} */ (["metrics", "traces", "logs"]);

/** The kinds of logs in the order in which the window lists them. */
export const LOG_KINDS = /** @type {const} */ (["platform", "applications"]);

/**
 * Wraps the work of a listener: a failure is shown as a sentence in `place`, and the text of the
 * last failure is removed when the work starts again.
 *
 * @param {HTMLElement} place
 * @param {() => Promise<unknown> | unknown} work
 * @returns {() => Promise<void>}
 */
export function action(place, work) {
  return async () => {
    place.replaceChildren();
    try {
      await work();
    } catch (why) {
      place.replaceChildren(h("span", { class: "bad" }, failure(why)));
    }
  };
}

/**
 * Returns the sentence that says what failed.
 *
 * @param {unknown} why
 */
export const failure = (why) => t("failed", { why: why instanceof Error ? why.message : why });

/**
 * Creates a card with a heading.
 *
 * @param {string} title
 * @param {...Child} children
 */
export const card = (title, ...children) =>
  h("section", { class: "card" }, h("h2", {}, title), ...children);

/**
 * Creates a paragraph in a quieter colour.
 *
 * @param {...Child} children
 */
export const note = (...children) => h("p", { class: "quiet" }, ...children);

/**
 * Creates a table of names and values.
 *
 * @param {[name: string, value: Child, problem?: boolean][]} rows
 */
export const facts = (rows) =>
  h(
    "table",
    {},
    h(
      "tbody",
      {},
      rows.map(([name, value, problem]) =>
        h(
          "tr",
          { class: problem ? "problem" : null },
          h("th", { scope: "row" }, name),
          h("td", { class: problem ? "bad" : null }, value),
        ),
      ),
    ),
  );

/**
 * Creates a table with headings.
 *
 * @param {{ name: string, number?: boolean }[]} columns A column of numbers is aligned right.
 * @param {Child[][]} rows
 * @param {string | null} style Class of the table.
 */
export function table(columns, rows, style = null) {
  const number = columns.map((column) => (column.number ? "number" : null));
  const heading = columns.map(({ name }, index) => h("th", { class: number[index] }, name));
  const body = rows.map((row) =>
    h(
      "tr",
      {},
      row.map((cell, index) => h("td", { class: number[index] }, cell)),
    ),
  );
  return h("table", { class: style }, h("thead", {}, h("tr", {}, heading)), h("tbody", {}, body));
}

/**
 * Creates a switch that is off and named by a heading.
 *
 * @param {string} id
 * @param {string} labelId
 * @param {(on: boolean) => Promise<unknown>} change Called with the wanted state.
 * @param {HTMLElement} place Where a failure is shown.
 */
export function toggle(id, labelId, change, place) {
  const button = h("button", {
    id,
    "role": "switch",
    "aria-checked": "false",
    "aria-labelledby": labelId,
  });
  button.onclick = action(place, () => change(button.getAttribute("aria-checked") !== "true"));
  return button;
}
