// @ts-check
// Today's time by app.

import { h } from "../dom.js";
import * as format from "../format.js";
import { note, table } from "../parts.js";
import { t } from "../texts.js";

/** @typedef {import("../protocol").Day} Day */

const MAX_APPS = 12;
const STATES = ["active", "idle", "locked", "suspended", "disconnected", "unknown"];
const COLUMNS = [
  { name: t("today.app") },
  { name: t("today.focus"), number: true },
  { name: "" },
  { name: t("today.switches"), number: true },
  { name: t("today.starts"), number: true },
];

/** @param {Day} day */
export function today(day) {
  const apps = Object.entries(day.apps)
    .filter(([, app]) => app.focus_seconds >= 1 || app.starts > 0)
    .sort(([, a], [, b]) => b.focus_seconds - a.focus_seconds);
  const sum = timeByState(day);
  if (apps.length === 0) return note(sum || t("today.none"));
  const longest = Math.max(1, apps[0][1].focus_seconds);
  const rows = apps
    .slice(0, MAX_APPS)
    .map(([name, app]) => [
      appName(name),
      format.duration(app.focus_seconds),
      bar(app.focus_seconds / longest),
      format.count(app.switches),
      format.count(app.starts),
    ]);
  const more = apps.length - rows.length;
  return [
    h("p", {}, sum),
    table(COLUMNS, rows, "today"),
    more > 0 ? note(t("more", { count: format.count(more) })) : null,
  ];
}

/** @param {Day} day */
const timeByState = ({ states }) =>
  STATES.filter((state) => (states[state] ?? 0) >= 1)
    .map((state) => t(`today.${state}`, { time: format.duration(states[state]) }))
    .join(", ");

/** @param {number} share From 0 to 1. */
const bar = (share) =>
  h(
    "svg",
    {
      "class": "bar",
      "viewBox": "0 0 100 8",
      "preserveAspectRatio": "none",
      "aria-hidden": "true",
    },
    h("rect", { width: (100 * share).toFixed(1), height: 8, rx: 1 }),
  );

/** @param {string} name */
const appName = (name) =>
  name === "other" || name === "platform" ? h("em", {}, t(`today.${name}`)) : name;
