// What would be sent of the log files, for whoever wants to see it before agreeing.

import * as agent from "../agent.js";
import { h, marked } from "../dom.js";
import { t } from "../texts.js";

/** A button for logs of a kind, and the place where their preview comes. */
export function preview(kind) {
  const place = h("div", { id: `preview-${kind}`, role: "status" });
  const show = async () => {
    place.replaceChildren(h("p", { class: "quiet" }, t("loading")));
    try {
      const [{ files, looked_in: folders }, marks] = await Promise.all([agent.previewLogs(kind), agent.marks()]);
      place.replaceChildren(...(files.length === 0
        ? [h("p", {}, t("logs.preview.none")), h("ul", {}, folders.map((folder) => h("li", {}, h("code", {}, folder))))]
        : [h("p", { class: "quiet" }, t("logs.preview.what")), ...files.map((file) => [h("h3", {}, h("code", {}, file.path)),
            h("div", { class: "lines", tabindex: "0" }, file.records.map((record) => h("div", { class: record.left_out ? "left-out" : null }, marked(record.text, marks))))])].flat()));
    } catch (why) {
      place.replaceChildren(h("p", { class: "bad" }, t("failed", { why })));
    }
  };
  return [h("p", {}, h("button", { id: `see-${kind}`, type: "button", onclick: show }, t("logs.preview"))), place];
}
