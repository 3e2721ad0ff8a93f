// Today's time by app.

import { h } from "../dom.js";
import * as format from "../format.js";
import { t } from "../texts.js";

const MOST_APPS = 12;

export function today(day) {
  const apps = Object.entries(day.apps).filter(([, app]) => app.focus_seconds >= 1 || app.starts > 0)
    .sort(([, a], [, b]) => b.focus_seconds - a.focus_seconds);
  const states = ["active", "idle", "locked", "suspended", "disconnected", "unknown"].filter((state) => (day.states[state] ?? 0) >= 1);
  const sum = states.map((state) => t(`today.${state}`, { time: format.length(day.states[state]) })).join(", ");
  if (apps.length === 0) return h("p", { class: "quiet" }, sum || t("today.none"));
  const top = Math.max(1, apps[0][1].focus_seconds);
  const bar = (seconds) => h("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    h("rect", { width: ((100 * seconds) / top).toFixed(1), height: 8, rx: 1 }));
  return [
    h("p", {}, sum),
    h("table", { class: "today" }, h("thead", {}, h("tr", {}, h("th", {}, t("today.app")), h("th", { class: "number" }, t("today.focus")), h("th", {}),
      h("th", { class: "number" }, t("today.switches")), h("th", { class: "number" }, t("today.starts")))),
    h("tbody", {}, apps.slice(0, MOST_APPS).map(([name, app]) => h("tr", {}, h("td", {}, named(name)),
      h("td", { class: "number" }, format.length(app.focus_seconds)), h("td", {}, bar(app.focus_seconds)),
      h("td", { class: "number" }, format.count(app.switches)), h("td", { class: "number" }, format.count(app.starts)))))),
    apps.length > MOST_APPS ? h("p", { class: "quiet" }, t("data.more", { count: format.count(apps.length - MOST_APPS) })) : null,
  ];
}

function named(name) {
  return name === "other" || name === "platform" ? h("em", {}, t(`today.${name}`)) : name;
}
