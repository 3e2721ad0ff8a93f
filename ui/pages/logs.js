import * as agent from "../agent.js";
import { h, marked, replace } from "../dom.js";
import * as format from "../format.js";
import { t } from "../texts.js";
import { preview } from "./preview.js";
import { policyOn } from "./state.js";

export function make(body) {
  const said = h("p", { role: "status", id: "said" });
  const switches = {};
  const part = (kind) => {
    const toggle = h("button", { id: `share-${kind}`, role: "switch", "aria-checked": "false", "aria-labelledby": `name-${kind}`, onclick: async () => {
      try {
        const shared = toggle.getAttribute("aria-checked") !== "true";
        const { deleted } = await agent.shareLogs([kind], shared);
        toggle.setAttribute("aria-checked", shared);
        said.textContent = shared ? "" : t("logs.turned-off", { count: format.count(deleted) });
      } catch (why) {
        said.textContent = t("failed", { why });
      }
    } });
    switches[kind] = toggle;
    const set = h("p", { class: "quiet", id: `set-${kind}`, hidden: true }, t("policy.set"));
    return h("section", { class: "card" }, h("div", { class: "row between" }, h("h2", { id: `name-${kind}` }, t(`logs.${kind}`)), toggle),
      h("p", {}, t(`logs.${kind}.what`)), set, preview(kind));
  };
  const rules = h("p", { id: "rules" });
  const result = h("pre", { id: "try-result", "aria-live": "polite" });
  const input = h("textarea", { id: "try", rows: "2", spellcheck: "false", oninput: () => show() });
  input.value = t("logs.try.example");
  let marks = [];
  async function show() {
    try {
      const { text } = await agent.redact(input.value);
      replace(result, marked(text, marks));
    } catch (why) {
      result.textContent = t("failed", { why });
    }
  }
  body.replaceChildren(
    h("h1", {}, t("logs.title")), h("p", {}, t("logs.intro")), said, part("platform"), part("applications"),
    h("section", { class: "card" }, h("h2", {}, t("logs.rules")), h("p", {}, t("logs.rules.what")), rules, h("p", { class: "quiet" }, t("logs.rules.limit"))),
    h("section", { class: "card" }, h("h2", {}, t("logs.try")), h("label", { for: "try" }, t("logs.try.label")), input, h("h3", {}, t("logs.try.result")), result));

  async function update(status) {
    for (const [kind, toggle] of Object.entries(switches)) {
      const isSet = policyOn(status, kind) !== null;
      toggle.setAttribute("aria-checked", status.logs.shared.includes(kind));
      toggle.disabled = isSet;
      document.getElementById(`set-${kind}`).hidden = !isSet;
    }
    if (marks.length === 0) {
      marks = await agent.marks();
      rules.replaceChildren(...marks.flatMap((mark) => [h("mark", {}, mark), " "]));
      await show();
    }
  }
  return { update };
}
