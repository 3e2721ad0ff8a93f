// @ts-check
// The first page that a user sees: what the program does, and the question about log files.

import * as agent from "../agent.js";
import { h } from "../dom.js";
import { action, card, LOG_KINDS } from "../parts.js";
import { t } from "../texts.js";
import { preview } from "./preview.js";
import { sharingPolicy } from "./state.js";

/** @param {HTMLElement} body */
export function make(body) {
  const failed = h("p", { role: "alert" });
  const boxes = LOG_KINDS.map((kind) => h("input", { type: "checkbox", id: `tick-${kind}` }));
  const hints = LOG_KINDS.map((kind) => h("span", { id: `set-${kind}`, class: "set" }));
  /** @param {() => agent.LogKind[]} kinds */
  const answer = (kinds) =>
    action(failed, async () => {
      if (kinds().length > 0) await agent.shareLogs(kinds(), true);
      await agent.welcomed();
      location.hash = "#overview";
    });
  const ticked = () => LOG_KINDS.filter((_, index) => boxes[index].checked);
  const share = h(
    "button",
    { id: "share", class: "main", disabled: true, onclick: answer(ticked) },
    t("welcome.share"),
  );
  for (const box of boxes) box.onchange = () => (share.disabled = ticked().length === 0);
  const later = h("button", { id: "later", onclick: answer(() => []) }, t("welcome.later"));
  body.replaceChildren(
    h("h1", {}, t("welcome.title")),
    h("p", {}, t("welcome.what")),
    h("p", {}, t("welcome.sent")),
    card(
      t("welcome.question"),
      h("p", {}, t("welcome.why")),
      LOG_KINDS.map((kind, index) => [choice(kind, boxes[index], hints[index]), preview(kind)]),
      h("div", { class: "row" }, share, later),
      failed,
    ),
  );
  return { update: showPolicy(boxes, hints) };
}

/**
 * @param {agent.LogKind} kind
 * @param {HTMLElement} box
 * @param {HTMLElement} hint
 */
const choice = (kind, box, hint) =>
  h(
    "label",
    { class: "choice" },
    box,
    h("span", {}, h("strong", {}, t(`logs.${kind}`)), h("br"), t(`logs.${kind}.what`), hint),
  );

/**
 * Disables what the organisation decides, and says so.
 *
 * @param {HTMLInputElement[]} boxes
 * @param {HTMLElement[]} hints
 */
const showPolicy = (boxes, hints) => (/** @type {agent.Status} */ status) =>
  LOG_KINDS.forEach((kind, index) => {
    const isShared = sharingPolicy(status, kind);
    if (isShared === null) return;
    boxes[index].disabled = true;
    hints[index].textContent = t(isShared ? "welcome.set-on" : "welcome.set-off");
  });
