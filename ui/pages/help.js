import { h, replace } from "../dom.js";
import * as format from "../format.js";
import { t } from "../texts.js";

const COMMANDS = ["insights-agent status", "insights-agent queue", "insights-agent config show", "insights-agent config check"];

export function make(body) {
  const facts = h("div");
  body.replaceChildren(h("h1", {}, t("help.title")), h("section", { class: "card" }, facts),
    h("section", { class: "card" }, h("h2", {}, t("help.support")), h("p", {}, t("help.support.what")), h("pre", { tabindex: "0" }, COMMANDS.join("\n"))));
  function update(status) {
    const row = (name, value) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value));
    replace(facts, h("table", {}, h("tbody", {}, row(t("help.version"), status.version), row(t("help.since"), format.dateTime(status.started_unix_ms)),
      row(t("help.process"), String(status.process_id)), row(t("help.data"), h("code", {}, status.data_dir)))));
  }
  return { update };
}
