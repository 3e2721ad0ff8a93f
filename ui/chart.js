// @ts-check
// A line chart of the last hour: axes with units and times, values under the pointer and with the
// arrow keys, and a table for screen readers.

import { h } from "./dom.js";
import { time } from "./format.js";
import { t } from "./texts.js";

/**
 * @typedef {import("./protocol").Hour["minutes"][number]} Minute
 *
 * @typedef {object} Series One line of the chart.
 * @property {string} name
 * @property {string} style Class of the line.
 * @property {(minute: Minute) => number | null | undefined} value
 *
 * @typedef {object} Chart
 * @property {string} title
 * @property {Minute[]} minutes
 * @property {Series[]} series
 * @property {number} top The value at the upper edge.
 * @property {(value: number | null | undefined) => string} format
 * @property {number} now Unix milliseconds at the right edge.
 */

const WIDTH = 420;
const HEIGHT = 170;
const LEFT = 56;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 24;
const MINUTE = 60_000;
const QUARTER = 15 * MINUTE;
const HOUR = 60 * MINUTE;
/** How far a key moves the cursor, in minutes. */
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -60, End: 60 };
/** Minutes per row of the table for screen readers. */
const TABLE_STEP = 10;

/**
 * Creates a chart.
 *
 * @param {Chart} chart
 */
export function chart(chart) {
  const { title } = chart;
  const cursor = h("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  const words = h("p", { "class": "quiet", "aria-live": "polite" }, t("chart.hint"));
  const svg = h(
    "svg",
    {
      "class": "chart",
      "viewBox": `0 0 ${WIDTH} ${HEIGHT}`,
      "role": "img",
      "tabindex": "0",
      "aria-label": t("chart.label", { title }),
    },
    grid(chart),
    timeLabels(chart),
    chart.series.map((series) => line(chart, series)),
    cursor,
  );
  followPointerAndKeys(chart, svg, cursor, words);
  return h("section", {}, h("h3", {}, title), svg, words, hiddenTable(chart));
}

/**
 * Creates a legend entry.
 *
 * @param {string} name
 * @param {string} style Class of the line.
 */
export function legend(name, style) {
  const sample = h("path", { class: style, d: "M0 4h26" });
  const picture = h(
    "svg",
    { "class": "chart", "viewBox": "0 0 26 8", "aria-hidden": "true" },
    sample,
  );
  return h("span", { class: "key" }, picture, name);
}

/**
 * Returns the horizontal position of a time.
 *
 * @param {Chart} chart
 * @param {number} at Unix milliseconds.
 */
const x = ({ now }, at) => LEFT + ((at - (now - HOUR)) / HOUR) * (WIDTH - LEFT - RIGHT);

/**
 * Returns the vertical position of a value. Values above the top are drawn at the top.
 *
 * @param {Chart} chart
 * @param {number} value
 */
const y = ({ top }, value) =>
  HEIGHT - BOTTOM - (Math.min(value, top) / top) * (HEIGHT - TOP - BOTTOM);

/** @param {Chart} chart */
function grid(chart) {
  return [0, 0.5, 1].map((part) => {
    const height = y(chart, chart.top * part);
    return [
      h("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: height, y2: height }),
      h(
        "text",
        { "x": LEFT - 6, "y": height + 4, "text-anchor": "end" },
        chart.format(chart.top * part),
      ),
    ];
  });
}

/** @param {Chart} chart */
function timeLabels(chart) {
  const first = Math.ceil((chart.now - HOUR) / QUARTER) * QUARTER;
  return [0, 1, 2, 3]
    .map((step) => first + step * QUARTER)
    .filter((at) => x(chart, at) > LEFT + 10 && x(chart, at) < WIDTH - 30)
    .map((at) =>
      h("text", { "x": x(chart, at), "y": HEIGHT - 6, "text-anchor": "middle" }, time(at)),
    );
}

/**
 * Draws one series. Minutes without a value interrupt the line; a single value is a dot.
 *
 * @param {Chart} chart
 * @param {Series} series
 */
function line(chart, { style, value }) {
  let path = "";
  /** @type {Minute | null} */
  let before = null;
  for (const minute of chart.minutes) {
    const now = value(minute);
    if (now === null || now === undefined) {
      before = null;
      continue;
    }
    const isJoined = before !== null && minute.unix_ms - before.unix_ms <= 2 * MINUTE;
    const place = `${x(chart, minute.unix_ms).toFixed(1)} ${y(chart, now).toFixed(1)}`;
    path += isJoined ? `L${place}` : `M${place}h.1`;
    before = minute;
  }
  return h("path", { "class": style, "d": path, "stroke-linecap": "round" });
}

/**
 * Shows the values of the minute under the pointer, or of the one chosen with the keys.
 *
 * @param {Chart} chart
 * @param {SVGElement} svg
 * @param {SVGElement} cursor
 * @param {HTMLElement} words
 */
function followPointerAndKeys(chart, svg, cursor, words) {
  const { minutes } = chart;
  let chosen = minutes.length - 1;
  /** @param {number} index */
  const choose = (index) => {
    if (minutes.length === 0) return;
    chosen = Math.max(0, Math.min(minutes.length - 1, index));
    const place = String(x(chart, minutes[chosen].unix_ms));
    cursor.setAttribute("x1", place);
    cursor.setAttribute("x2", place);
    cursor.setAttribute("visibility", "visible");
    words.textContent = inWords(chart, minutes[chosen]);
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const across = ((event.clientX - box.left) / box.width) * WIDTH;
    const distances = minutes.map(({ unix_ms: at }) => Math.abs(x(chart, at) - across));
    choose(distances.indexOf(Math.min(...distances)));
  });
  svg.addEventListener("keydown", (event) => {
    const step = STEPS[/** @type {keyof typeof STEPS} */ (event.key)];
    if (step === undefined) return;
    event.preventDefault();
    choose(chosen + step);
  });
}

/**
 * Returns the values of a minute as text.
 *
 * @param {Chart} chart
 * @param {Minute} minute
 */
function inWords({ series, format }, minute) {
  const values = series
    .filter(({ value }) => value(minute) !== null && value(minute) !== undefined)
    .map(({ name, value }) => `${name} ${format(value(minute))}`);
  return `${time(minute.unix_ms)}: ${values.join(", ") || "–"}`;
}

/** @param {Chart} chart */
function hiddenTable({ title, minutes, series, format }) {
  const rows = minutes.filter((_, index) => index % TABLE_STEP === 0);
  return h(
    "table",
    { class: "hidden-visually" },
    h("caption", {}, title),
    h(
      "tr",
      {},
      h("th", {}, t("chart.time")),
      series.map(({ name }) => h("th", {}, name)),
    ),
    rows.map((minute) =>
      h(
        "tr",
        {},
        h("td", {}, time(minute.unix_ms)),
        series.map(({ value }) => h("td", {}, format(value(minute)))),
      ),
    ),
  );
}
