import * as agent from "../agent.js";
import { h, replace } from "../dom.js";
import * as format from "../format.js";
import { t } from "../texts.js";

const SIGNALS = ["metrics", "traces", "logs"];

export function make(body) {
  const facts = h("div");
  const answers = h("div", { role: "status", id: "answers" });
  const rows = h("tbody");
  const search = h("input", { id: "search", type: "search", "aria-label": t("connection.search"), placeholder: t("connection.search"), oninput: () => list() });
  const test = h("button", { id: "test", class: "main", onclick: async () => {
    test.disabled = true;
    answers.replaceChildren(h("p", { class: "quiet" }, t("connection.testing")));
    try {
      const probes = await agent.testConnection();
      answers.replaceChildren(h("table", {}, h("tbody", {}, probes.map((probe) => h("tr", { class: probe.ok ? "ok" : "failed" },
        h("td", {}, t(`signal.${probe.signal}`)), h("td", { class: probe.ok ? "good" : "bad" }, t(probe.ok ? "connection.ok" : "connection.not-ok")),
        h("td", {}, probe.sentence), h("td", { class: "number" }, t("connection.took", { ms: format.count(probe.milliseconds) })))))));
    } catch (why) {
      answers.replaceChildren(h("p", { class: "bad" }, t("failed", { why })));
    }
    test.disabled = false;
  } }, t("connection.test"));
  body.replaceChildren(
    h("h1", {}, t("connection.title")), h("section", { class: "card" }, facts, h("p", {}, test), answers),
    h("section", { class: "card" }, h("h2", {}, t("connection.settings")), search, h("table", { class: "names" }, h("thead", {}, h("tr", {},
      h("th", {}, t("connection.name")), h("th", {}, t("connection.value")), h("th", {}, t("connection.origin")))), rows)));

  let settings = [];
  // Another agent may have other settings.
  let of = null;
  function list() {
    const wanted = search.value.trim().toLowerCase();
    const found = settings.filter((one) => `${one.key} ${one.value} ${one.origin}`.toLowerCase().includes(wanted));
    rows.replaceChildren(...found.map((one) => h("tr", {}, h("td", {}, h("code", {}, one.key)), h("td", {}, h("code", {}, one.value)), h("td", {}, one.origin))));
  }
  async function update(status) {
    const row = (name, ...values) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, ...values));
    const problems = SIGNALS.map((signal) => status.collector[signal].problem).filter((problem) => problem !== null);
    const sentences = [...new Set(problems.map((problem) => problem.sentence))];
    replace(facts, h("table", {}, h("tbody", {},
      row(t("connection.collector"), h("code", {}, status.collector.endpoint)), row(t("connection.protocol"), status.collector.protocol),
      SIGNALS.map((signal) => row(`${t("connection.last")}: ${t(`signal.${signal}`)}`,
        status.collector[signal].acknowledged_unix_ms === null ? t("overview.never") : format.moment(status.collector[signal].acknowledged_unix_ms))),
      sentences.map((sentence) => h("tr", { class: "problem" }, h("th", { scope: "row" }, t("connection.problem")), h("td", { class: "bad" }, sentence))))));
    if (of !== status.process_id) {
      of = status.process_id;
      settings = await agent.settings();
      list();
    }
  }
  return { update };
}
