import * as agent from "../agent.js";
import { chart, key } from "../chart.js";
import { h, replace } from "../dom.js";
import * as format from "../format.js";
import { t } from "../texts.js";
import { state } from "./state.js";
import { today } from "./today.js";

const CHART_MS = 10_000;

export function make(body) {
  const head = h("div", { id: "state" });
  const pauses = h("div", { class: "row" });
  const pauseWhat = h("p", { class: "quiet" }, t("pause.what"));
  const charts = h("div", { class: "charts" });
  const used = h("div", { id: "today" });
  const deliveries = h("div");
  const failed = h("p", { class: "bad", role: "alert" });
  let drawn = 0;
  const pause = (id, until) => h("button", { id, onclick: async () => {
    try {
      await agent.pause(until);
    } catch (why) {
      failed.textContent = t("failed", { why });
    }
  } }, t(`pause.${id.slice(6)}`));
  const buttons = { hour: pause("pause-hour", "one_hour"), tomorrow: pause("pause-tomorrow", "tomorrow"), resume: pause("pause-resume", "now") };
  pauses.append(buttons.hour, buttons.tomorrow, buttons.resume);
  body.replaceChildren(
    h("h1", {}, t("overview.title")), h("section", { class: "card" }, head, pauses, failed, pauseWhat),
    h("section", { class: "card" }, h("h2", {}, t("overview.hour")), h("p", {}, key(t("overview.machine"), "machine"), key(t("overview.connect"), "connect")), charts),
    h("section", { class: "card" }, h("h2", {}, t("today.title")), used, h("p", { class: "quiet" }, t("today.what"))),
    h("section", { class: "card" }, h("h2", {}, t("overview.delivery")), deliveries));

  async function update(status) {
    replace(head, state(status));
    const paused = status.paused_until_unix_ms !== null;
    buttons.hour.hidden = buttons.tomorrow.hidden = paused;
    buttons.hour.disabled = buttons.tomorrow.disabled = !status.policy.allow_pause;
    pauseWhat.textContent = t(status.policy.allow_pause ? "pause.what" : "pause.none");
    buttons.resume.hidden = !paused;
    const rows = ["metrics", "traces", "logs"].map((signal) => {
      const { acknowledged_unix_ms: last, acknowledged_items: items } = status.collector[signal];
      return h("tr", {}, h("td", {}, t(`signal.${signal}`)),
        h("td", {}, last === null ? t("overview.never") : format.moment(last)),
        h("td", { class: "number" }, format.count(items)), h("td", { class: "number" }, format.count(status.queue[signal].items)));
    });
    replace(deliveries, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t("overview.signal")), h("th", {}, t("overview.last")),
      h("th", { class: "number" }, t("overview.delivered")), h("th", { class: "number" }, t("overview.waits")))), h("tbody", {}, rows)),
      h("p", { class: "quiet" }, t("overview.since", { time: format.moment(status.started_unix_ms) })));
    if (Date.now() - drawn < CHART_MS || charts.contains(document.activeElement)) return;
    drawn = Date.now();
    replace(used, today(await agent.usage(1)));
    const { minutes, memory_total: total } = await agent.hour();
    if (minutes.length === 0) return replace(charts, h("p", { class: "quiet" }, t("overview.no-minutes")));
    const two = (machine, connect) => [
      { name: t("overview.machine"), style: "machine", value: machine },
      { name: t("overview.connect"), style: "connect", value: connect },
    ];
    const memory = two((m) => (m.memory === null || !total ? null : m.memory * total), (m) => m.connect_memory);
    charts.replaceChildren(
      chart(t("overview.cpu"), minutes, two((m) => m.cpu, (m) => m.connect_cpu), 1, format.percent, Date.now()),
      chart(t("overview.memory"), minutes, memory, total || 1, format.bytes, Date.now()));
  }
  return { update };
}
