// @ts-check
// The collector: its address, the last deliveries, a connection test, and the settings in force.

import * as agent from "../agent.js";
import { h, replace } from "../dom.js";
import * as format from "../format.js";
import { card, facts, failure, note, SIGNALS, table } from "../parts.js";
import { t } from "../texts.js";

/** @typedef {import("../protocol").Probe} Probe */

/** @param {HTMLElement} body */
export function make(body) {
  const collector = h("div");
  const settings = settingsCard();
  body.replaceChildren(
    h("h1", {}, t("connection.title")),
    h("section", { class: "card" }, collector, ...connectionTest()),
    settings.element,
  );
  /** @param {agent.Status} status */
  async function update(status) {
    replace(collector, collectorFacts(status));
    await settings.update(status);
  }
  return { update };
}

/** @param {agent.Status} status */
function collectorFacts({ collector }) {
  /** @param {number | null} at */
  const last = (at) => (at === null ? t("overview.never") : format.moment(at));
  const problems = SIGNALS.map((signal) => collector[signal].problem?.sentence);
  /** @type {Parameters<typeof facts>[0]} */
  const rows = [
    [t("connection.collector"), h("code", {}, collector.endpoint)],
    [t("connection.protocol"), collector.protocol],
  ];
  for (const signal of SIGNALS) {
    const name = `${t("connection.last")}: ${t(`signal.${signal}`)}`;
    rows.push([name, last(collector[signal].acknowledged_unix_ms)]);
  }
  for (const sentence of new Set(problems)) {
    if (sentence) rows.push([t("connection.problem"), sentence, true]);
  }
  return facts(rows);
}

function connectionTest() {
  const answers = h("div", { role: "status", id: "answers" });
  const run = async () => {
    button.disabled = true;
    answers.replaceChildren(note(t("connection.testing")));
    try {
      answers.replaceChildren(probeTable(await agent.testConnection()));
    } catch (why) {
      answers.replaceChildren(h("p", { class: "bad" }, failure(why)));
    }
    button.disabled = false;
  };
  const button = h("button", { id: "test", class: "main", onclick: run }, t("connection.test"));
  return [h("p", {}, button), answers];
}

/** @param {Probe[]} probes */
function probeTable(probes) {
  const row = (/** @type {Probe} */ { signal, ok, sentence, milliseconds }) =>
    h(
      "tr",
      { class: ok ? "ok" : "failed" },
      h("td", {}, t(`signal.${signal}`)),
      h("td", { class: ok ? "good" : "bad" }, t(ok ? "connection.ok" : "connection.not-ok")),
      h("td", {}, sentence),
      h("td", { class: "number" }, t("connection.took", { ms: format.count(milliseconds) })),
    );
  return h("table", {}, h("tbody", {}, probes.map(row)));
}

function settingsCard() {
  const list = h("div", { id: "settings" });
  const search = h("input", {
    "id": "search",
    "type": "search",
    "aria-label": t("connection.search"),
    "placeholder": t("connection.search"),
    "oninput": () => show(),
  });
  /** @type {import("../protocol").SettingLine[]} */
  let settings = [];
  // An agent that was started again may have other settings.
  /** @type {number | null} */
  let loadedFrom = null;
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    const found = settings.filter(({ key, value, origin }) =>
      `${key} ${value} ${origin}`.toLowerCase().includes(wanted),
    );
    const columns = ["name", "value", "origin"].map((name) => ({ name: t(`connection.${name}`) }));
    const rows = found.map(({ key, value, origin }) => [
      h("code", {}, key),
      h("code", {}, value),
      origin,
    ]);
    list.replaceChildren(table(columns, rows, "names"));
  };
  /** @param {agent.Status} status */
  const update = async ({ process_id: process }) => {
    if (loadedFrom === process) return;
    loadedFrom = process;
    settings = await agent.settings();
    show();
  };
  return { element: card(t("connection.settings"), search, list), update };
}
