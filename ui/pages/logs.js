// @ts-check
// Sharing of logs: a switch for each kind, the redaction rules, and a place to try them.

import * as agent from "../agent.js";
import { h, marked, replace } from "../dom.js";
import * as format from "../format.js";
import { action, card, LOG_KINDS, note, toggle } from "../parts.js";
import { t } from "../texts.js";
import { preview } from "./preview.js";
import { sharingPolicy } from "./state.js";

/** @param {HTMLElement} body */
export function make(body) {
  const message = h("p", { role: "status", id: "said" });
  const kinds = LOG_KINDS.map((kind) => sharingCard(kind, message));
  const rules = rulesCards();
  body.replaceChildren(
    h("h1", {}, t("logs.title")),
    h("p", {}, t("logs.intro")),
    message,
    ...kinds.map(({ element }) => element),
    ...rules.elements,
  );
  /** @param {agent.Status} status */
  async function update(status) {
    for (const kind of kinds) kind.update(status);
    await rules.update();
  }
  return { update };
}

/**
 * @param {agent.LogKind} kind
 * @param {HTMLElement} message Says what a change has done.
 */
function sharingCard(kind, message) {
  /** @param {boolean} shared */
  const change = async (shared) => {
    const { deleted } = await agent.shareLogs([kind], shared);
    button.setAttribute("aria-checked", String(shared));
    if (!shared) message.textContent = t("logs.turned-off", { count: format.count(deleted) });
  };
  const button = toggle(`share-${kind}`, `name-${kind}`, change, message);
  const policy = h("p", { class: "quiet", id: `set-${kind}`, hidden: true }, t("policy.set"));
  const element = h(
    "section",
    { class: "card" },
    h("div", { class: "row between" }, h("h2", { id: `name-${kind}` }, t(`logs.${kind}`)), button),
    h("p", {}, t(`logs.${kind}.what`)),
    policy,
    preview(kind),
  );
  /** @param {agent.Status} status */
  const update = (status) => {
    const isFixed = sharingPolicy(status, kind) !== null;
    button.setAttribute("aria-checked", String(status.logs.shared.includes(kind)));
    button.disabled = isFixed;
    policy.hidden = !isFixed;
  };
  return { element, update };
}

function rulesCards() {
  const list = h("p", { id: "rules" });
  const result = h("pre", { "id": "try-result", "aria-live": "polite" });
  const input = h("textarea", { id: "try", rows: "2", spellcheck: "false" });
  /** @type {string[]} */
  let marks = [];
  const show = action(result, async () => {
    const { text } = await agent.redact(input.value);
    replace(result, ...marked(text, marks));
  });
  input.value = t("logs.try.example");
  input.oninput = show;
  const update = async () => {
    if (marks.length > 0) return;
    marks = await agent.redactionMarks();
    list.replaceChildren(...marks.flatMap((mark) => [h("mark", {}, mark), " "]));
    await show();
  };
  const elements = [
    card(t("logs.rules"), h("p", {}, t("logs.rules.what")), list, note(t("logs.rules.limit"))),
    card(
      t("logs.try"),
      h("label", { for: "try" }, t("logs.try.label")),
      input,
      h("h3", {}, t("logs.try.result")),
      result,
    ),
  ];
  return { elements, update };
}
