// @ts-check
// A preview of the log lines that would be sent, for users who want to see them before they agree.

import * as agent from "../agent.js";
import { h, marked } from "../dom.js";
import { failure, note } from "../parts.js";
import { t } from "../texts.js";

/**
 * Creates a button, and the place in which it shows the preview.
 *
 * @param {agent.LogKind} kind
 */
export function preview(kind) {
  const place = h("div", { id: `preview-${kind}`, role: "status" });
  const show = async () => {
    place.replaceChildren(note(t("loading")));
    try {
      const [latest, marks] = await Promise.all([agent.previewLogs(kind), agent.redactionMarks()]);
      place.replaceChildren(...(latest.files.length > 0 ? files(latest, marks) : folders(latest)));
    } catch (why) {
      place.replaceChildren(h("p", { class: "bad" }, failure(why)));
    }
  };
  const button = { id: `see-${kind}`, type: "button", onclick: show };
  return [h("p", {}, h("button", button, t("logs.preview"))), place];
}

/**
 * @param {agent.LogPreview} latest
 * @param {string[]} marks
 */
function files(latest, marks) {
  const file = (/** @type {agent.LogPreview["files"][number]} */ { path, records }) => [
    h("h3", {}, h("code", {}, path)),
    h(
      "div",
      { class: "lines", tabindex: "0" },
      records.map(({ text, left_out: isDropped }) =>
        h("div", { class: isDropped ? "left-out" : null }, marked(text, marks)),
      ),
    ),
  ];
  return [note(t("logs.preview.what")), ...latest.files.flatMap(file)];
}

/** @param {agent.LogPreview} latest */
const folders = ({ looked_in: paths }) => [
  h("p", {}, t("logs.preview.none")),
  h(
    "ul",
    {},
    paths.map((path) => h("li", {}, h("code", {}, path))),
  ),
];
