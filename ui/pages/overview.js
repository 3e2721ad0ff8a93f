// @ts-check
// The start page: state and pauses, charts of the last hour, today's apps, deliveries.

import * as agent from "../agent.js";
import { chart, legend } from "../chart.js";
import { h, replace } from "../dom.js";
import * as format from "../format.js";
import { action, card, note, SIGNALS, table } from "../parts.js";
import { t } from "../texts.js";
import { state } from "./state.js";
import { today } from "./today.js";

/** Charts change once a minute; redrawing them more often only costs time. */
const CHARTS_INTERVAL_MS = 10_000;

/** @param {HTMLElement} body */
export function make(body) {
  const stateBox = h("div", { id: "state" });
  const pauses = pauseButtons();
  const history = historyCards();
  const deliveries = h("div");
  body.replaceChildren(
    h("h1", {}, t("overview.title")),
    h("section", { class: "card" }, stateBox, pauses.elements),
    ...history.elements,
    card(t("overview.delivery"), deliveries),
  );
  /** @param {agent.Status} status */
  async function update(status) {
    replace(stateBox, state(status));
    pauses.update(status);
    replace(deliveries, ...deliveryTable(status));
    await history.update();
  }
  return { update };
}

function pauseButtons() {
  const failed = h("p", { role: "alert" });
  const hint = note();
  /**
   * @param {string} name
   * @param {Parameters<typeof agent.pause>[0]} until
   */
  const button = (name, until) => {
    const onclick = action(failed, () => agent.pause(until));
    return h("button", { id: `pause-${name}`, onclick }, t(`pause.${name}`));
  };
  const starts = [button("hour", "one_hour"), button("tomorrow", "tomorrow")];
  const resume = button("resume", "now");
  /** @param {agent.Status} status */
  const update = ({ paused_until_unix_ms: until, policy }) => {
    const isPaused = until !== null;
    for (const start of starts) {
      start.hidden = isPaused;
      start.disabled = !policy.allow_pause;
    }
    resume.hidden = !isPaused;
    hint.textContent = t(policy.allow_pause ? "pause.what" : "pause.none");
  };
  return { elements: [h("div", { class: "row" }, starts, resume), failed, hint], update };
}

function historyCards() {
  const charts = h("div", { class: "charts" });
  const apps = h("div", { id: "today" });
  let drawn = 0;
  const update = async () => {
    const isFocused = charts.contains(document.activeElement);
    if (Date.now() - drawn < CHARTS_INTERVAL_MS || isFocused) return;
    drawn = Date.now();
    replace(apps, today(await agent.usage(1)));
    const hour = await agent.lastHour();
    if (hour.minutes.length === 0) replace(charts, note(t("overview.no-minutes")));
    else charts.replaceChildren(...hourCharts(hour));
  };
  const keys = [legend(t("overview.machine"), "machine"), legend(t("overview.connect"), "connect")];
  const elements = [
    card(t("overview.hour"), h("p", {}, keys), charts),
    card(t("today.title"), apps, note(t("today.what"))),
  ];
  return { elements, update };
}

/** @param {import("../protocol").Hour} hour */
function hourCharts({ minutes, memory_total: total }) {
  /**
   * @param {import("../chart.js").Series["value"]} machine
   * @param {import("../chart.js").Series["value"]} connect
   */
  const series = (machine, connect) => [
    { name: t("overview.machine"), style: "machine", value: machine },
    { name: t("overview.connect"), style: "connect", value: connect },
  ];
  const now = Date.now();
  return [
    chart({
      title: t("overview.cpu"),
      minutes,
      series: series(
        (minute) => minute.cpu,
        (minute) => minute.connect_cpu,
      ),
      top: 1,
      format: format.percent,
      now,
    }),
    chart({
      title: t("overview.memory"),
      minutes,
      series: series(
        (minute) => (minute.memory === null || !total ? null : minute.memory * total),
        (minute) => minute.connect_memory,
      ),
      top: total || 1,
      format: format.bytes,
      now,
    }),
  ];
}

/** @param {agent.Status} status */
function deliveryTable({ collector, queue, started_unix_ms: started }) {
  const columns = [
    { name: t("overview.signal") },
    { name: t("overview.last") },
    { name: t("overview.delivered"), number: true },
    { name: t("overview.waiting"), number: true },
  ];
  const rows = SIGNALS.map((signal) => {
    const { acknowledged_unix_ms: last, acknowledged_items: items } = collector[signal];
    return [
      t(`signal.${signal}`),
      last === null ? t("overview.never") : format.moment(last),
      format.count(items),
      format.count(queue[signal].items),
    ];
  });
  return [table(columns, rows), note(t("overview.since", { time: format.moment(started) }))];
}
