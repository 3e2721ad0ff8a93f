// A line chart of the last hour: axes with units and times, values under the pointer and with the arrow keys, a table for
// those who do not see it.

import { h } from "./dom.js";
import { time } from "./format.js";
import { t } from "./texts.js";

const WIDTH = 420, HEIGHT = 170, LEFT = 56, RIGHT = 12, TOP = 10, BOTTOM = 24;
const MINUTE = 60_000, HOUR = 60 * MINUTE;

/**
 * @param title its name; `series`: [{ name, style, value(minute) }]; `top`: value at the top; `show`: value in words.
 */
export function chart(title, minutes, series, top, show, now) {
  const from = now - HOUR;
  const x = (at) => LEFT + ((at - from) / HOUR) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (Math.min(value, top) / top) * (HEIGHT - TOP - BOTTOM);
  const grid = [0, 0.5, 1].map((part) => [
    h("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(top * part), y2: y(top * part) }),
    h("text", { x: LEFT - 6, y: y(top * part) + 4, "text-anchor": "end" }, show(top * part)),
  ]);
  const first = Math.ceil(from / (15 * MINUTE)) * 15 * MINUTE;
  const times = [0, 1, 2, 3].map((step) => first + step * 15 * MINUTE).filter((at) => x(at) < WIDTH - 30 && x(at) > LEFT + 10);
  const labels = times.map((at) => h("text", { x: x(at), y: HEIGHT - 6, "text-anchor": "middle" }, time(at)));
  const paths = series.map(({ style, value }) => {
    let path = "", before = null;
    for (const minute of minutes) {
      const now = value(minute);
      if (now === null || now === undefined) {
        before = null;
        continue;
      }
      // A dot where there is nothing beside it.
      const joined = before !== null && minute.unix_ms - before <= 2 * MINUTE;
      path += `${joined ? "L" : "M"}${x(minute.unix_ms).toFixed(1)} ${y(now).toFixed(1)}${joined ? "" : "h.1"}`;
      before = minute.unix_ms;
    }
    return h("path", { class: style, d: path, "stroke-linecap": "round" });
  });
  const cursor = h("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  const words = h("p", { class: "quiet", "aria-live": "polite" }, t("chart.hint"));
  let at = minutes.length - 1;
  const point = (index) => {
    if (minutes.length === 0) return;
    at = Math.max(0, Math.min(minutes.length - 1, index));
    const minute = minutes[at];
    cursor.setAttribute("x1", x(minute.unix_ms));
    cursor.setAttribute("x2", x(minute.unix_ms));
    cursor.setAttribute("visibility", "visible");
    const values = series.map(({ name, value }) => [name, value(minute)]).filter(([, value]) => value !== null && value !== undefined);
    words.textContent = `${time(minute.unix_ms)}: ${values.map(([name, value]) => `${name} ${show(value)}`).join(", ") || "–"}`;
  };
  const svg = h("svg", {
    class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: "0", "aria-label": t("chart.label", { title }),
    onpointermove: (event) => {
      const box = svg.getBoundingClientRect();
      const wanted = from + (((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT) * HOUR;
      const distances = minutes.map((minute) => Math.abs(minute.unix_ms - wanted));
      point(distances.indexOf(Math.min(...distances)));
    },
    onkeydown: (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -60, End: 60 };
      if (!(event.key in steps)) return;
      event.preventDefault();
      point(at + steps[event.key]);
    },
  }, grid, labels, paths, cursor);
  const table = h("table", { class: "hidden-visually" },
    h("caption", {}, title),
    h("tr", {}, h("th", {}, t("chart.time")), series.map(({ name }) => h("th", {}, name))),
    minutes.filter((_, index) => index % 10 === 0).map((minute) =>
      h("tr", {}, h("td", {}, time(minute.unix_ms)), series.map(({ value }) => h("td", {}, show(value(minute)))))));
  return h("section", {}, h("h3", {}, title), svg, words, table);
}

/** What a line stands for. */
export function key(name, style) {
  return h("span", { class: "key" }, h("svg", { class: "chart", viewBox: "0 0 26 8", "aria-hidden": "true" },
    h("path", { class: style, d: "M0 4h26" })), name);
}
