// How the agent is: a picture, as in the tray, and the sentence.

import { h } from "../dom.js";
import { t } from "../texts.js";

const GLYPHS = {
  starting: "M8 16h.1M16 16h.1M24 16h.1",
  delivering: "M16 24V9m-7 7 7-7 7 7",
  buffering: "M9 10h14M9 16h14M9 22h14",
  attention: "M16 8v9M16 24h.1",
  paused: "M11.5 10v12M20.5 10v12",
};

export function state(status) {
  return h("div", { class: `state ${status.health}`, id: "state" },
    h("svg", { viewBox: "0 0 32 32", role: "img", "aria-label": t(`state.${status.health}`) },
      h("circle", { cx: 16, cy: 16, r: 15, fill: "currentColor" }),
      h("path", { d: GLYPHS[status.health], fill: "none", stroke: "var(--card)", "stroke-width": 4, "stroke-linecap": "round", "stroke-linejoin": "round" })),
    h("p", { id: "sentence" }, status.sentence));
}

/** What the organisation has decided on the sharing of a kind of logs; null if the user decides. */
export const policyOn = (status, kind) => status.policy[kind === "platform" ? "share_platform_logs" : "share_application_logs"];
