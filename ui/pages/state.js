// @ts-check
// The state of the agent: the same picture as in the tray, with its sentence.

import { h } from "../dom.js";
import { t } from "../texts.js";

/** @typedef {import("../agent.js").Status} Status */

/** @type {Record<string, string>} */
const GLYPHS = {
  starting: "M8 16h.1M16 16h.1M24 16h.1",
  delivering: "M16 24V9m-7 7 7-7 7 7",
  buffering: "M9 10h14M9 16h14M9 22h14",
  attention: "M16 8v9M16 24h.1",
  paused: "M11.5 10v12M20.5 10v12",
};

/** @param {Status} status */
export function state({ health, sentence }) {
  const glyph = h("path", {
    "d": GLYPHS[health],
    "fill": "none",
    "stroke": "var(--card)",
    "stroke-width": 4,
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
  });
  return h(
    "div",
    { class: `state ${health}` },
    h(
      "svg",
      { "viewBox": "0 0 32 32", "role": "img", "aria-label": t(`state.${health}`) },
      h("circle", { cx: 16, cy: 16, r: 15, fill: "currentColor" }),
      glyph,
    ),
    h("p", { id: "sentence" }, sentence),
  );
}

/**
 * Returns whether the organisation has turned sharing of a kind of logs on or off; null if the
 * user decides.
 *
 * @param {Status} status
 * @param {import("../agent.js").LogKind} kind
 */
export const sharingPolicy = ({ policy }, kind) =>
  kind === "platform" ? policy.share_platform_logs : policy.share_application_logs;
