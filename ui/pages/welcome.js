import * as agent from "../agent.js";
import { h } from "../dom.js";
import { t } from "../texts.js";
import { preview } from "./preview.js";
import { policyOn } from "./state.js";

const KINDS = ["platform", "applications"];

export function make(body) {
  const failed = h("p", { class: "bad", role: "alert" });
  const boxes = KINDS.map((kind) => h("input", { type: "checkbox", id: `tick-${kind}`, onchange: () => {
    share.disabled = boxes.every((box) => !box.checked);
  } }));
  const answer = async (kinds) => {
    try {
      if (kinds.length > 0) await agent.shareLogs(kinds, true);
      await agent.welcomed();
      location.hash = "#overview";
    } catch (why) {
      failed.textContent = t("failed", { why });
    }
  };
  const share = h("button", { id: "share", class: "main", disabled: true, onclick: () => answer(KINDS.filter((_, index) => boxes[index].checked)) }, t("welcome.share"));
  body.replaceChildren(
    h("h1", {}, t("welcome.title")), h("p", {}, t("welcome.what")), h("p", {}, t("welcome.sent")),
    h("section", { class: "card" }, h("h2", {}, t("welcome.question")), h("p", {}, t("welcome.why")),
      KINDS.map((kind, index) => [h("label", { class: "choice" }, boxes[index], h("span", {}, h("strong", {}, t(`logs.${kind}`)), h("br"), t(`logs.${kind}.what`), h("span", { id: `set-${kind}`, class: "set" }))), preview(kind)]),
      h("div", { class: "row" }, share, h("button", { id: "later", onclick: () => answer([]) }, t("welcome.later"))), failed));
  function update(status) {
    KINDS.forEach((kind, index) => {
      const set = policyOn(status, kind);
      if (set === null) return;
      boxes[index].disabled = true;
      document.getElementById(`set-${kind}`).textContent = t(set ? "welcome.set-on" : "welcome.set-off");
    });
  }
  return { update };
}
