import * as agent from "../agent.js";
import { h, replace } from "../dom.js";
import * as format from "../format.js";
import { licences } from "../licences.js";
import { t } from "../texts.js";

const COMMANDS = ["insights-agent doctor", "insights-agent status", "insights-agent queue", "insights-agent config show", "insights-agent config check"];

export function make(body) {
  const facts = h("div");
  const saved = h("p", { id: "saved", role: "status" });
  const bundle = h("button", { id: "bundle", onclick: async () => {
    saved.textContent = t("help.bundle.saving");
    try {
      saved.textContent = t("help.bundle.saved", { file: await agent.saveBundle() });
    } catch (why) {
      saved.textContent = t("failed", { why });
    }
  } }, t("help.bundle"));
  const inside = h("div", { id: "inside" });
  const look = h("button", { id: "look", onclick: async () => {
    saved.textContent = t("help.bundle.saving");
    try {
      const pieces = await agent.previewBundle();
      saved.textContent = "";
      replace(inside, ...pieces.map(({ name, text }) => h("details", {},
        h("summary", {}, t("help.bundle.piece", { name, size: format.bytes(text.length) })), h("pre", { tabindex: "0" }, text))));
    } catch (why) {
      saved.textContent = t("failed", { why });
    }
  } }, t("help.bundle.look"));
  const startSaid = h("p", { class: "quiet", role: "status" });
  const start = h("button", { id: "autostart", role: "switch", "aria-checked": "false", "aria-labelledby": "name-autostart", disabled: true, onclick: async () => {
    try {
      await agent.setAutostart(start.getAttribute("aria-checked") !== "true");
    } catch (why) {
      startSaid.textContent = t("failed", { why });
    }
    await showStart();
  } });
  async function showStart() {
    try {
      const { is_on: isOn, is_set: isSet } = await agent.autostart();
      start.setAttribute("aria-checked", isOn);
      start.disabled = isSet;
      if (isSet) startSaid.textContent = t("policy.set");
    } catch (why) {
      startSaid.textContent = t("failed", { why });
    }
  }
  body.replaceChildren(h("h1", {}, t("help.title")), h("section", { class: "card" }, facts,
    h("div", { class: "row between" }, h("h2", { id: "name-autostart" }, t("help.autostart")), start), startSaid),
  h("section", { class: "card" }, h("h2", {}, t("help.support")), h("p", {}, t("help.bundle.what")), h("div", { class: "row" }, bundle, look), saved, inside,
    h("p", {}, t("help.support.what")), h("pre", { tabindex: "0" }, COMMANDS.join("\n"))),
  h("section", { class: "card" }, h("h2", {}, t("help.licences")), h("p", {}, t("help.licences.what", { count: format.count(licences.length) })),
    h("details", { id: "licences" }, h("summary", {}, t("help.licences.show")),
      h("table", { class: "names" }, h("thead", {}, h("tr", {}, [t("help.name"), t("help.version"), t("help.licence"), t("help.source")].map((name) => h("th", {}, name)))),
        h("tbody", {}, licences.map(([name, version, licence, source]) =>
          h("tr", {}, h("td", {}, h("code", {}, name)), h("td", {}, version), h("td", {}, licence), h("td", {}, source))))))));
  showStart();
  function update(status) {
    const row = (name, value) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value));
    replace(facts, h("table", {}, h("tbody", {}, row(t("help.version"), status.version), row(t("help.since"), format.dateTime(status.started_unix_ms)),
      row(t("help.process"), String(status.process_id)), row(t("help.data"), h("code", {}, status.data_dir)))));
  }
  return { update };
}
