import * as agent from "../agent.js";
import { h, marked, replace } from "../dom.js";
import * as format from "../format.js";
import { t } from "../texts.js";

const SIGNALS = ["metrics", "traces", "logs"];

export function make(body) {
  const batches = h("div", { id: "batches" });
  const consent = h("div", { id: "consent" });
  const done = h("p", { role: "status" });
  body.replaceChildren(
    h("h1", {}, t("data.title")), h("p", {}, t("data.intro")), h("p", {}, t("data.whose")),
    h("section", { class: "card" }, SIGNALS.map((signal) => [h("h2", {}, t(`signal.${signal}`)), h("p", {}, t(`data.${signal}`))]),
      h("h2", {}, t("signal.apps")), h("p", {}, t("data.apps"))),
    h("section", { class: "card" }, h("h2", {}, t("data.last")), batches, h("p", { class: "quiet" }, t("data.kept"))),
    h("section", { class: "card" }, h("h2", {}, t("data.never")), h("ul", {}, t("data.never.list").map((line) => h("li", {}, line)))),
    h("section", { class: "card" }, h("h2", {}, t("data.consent")), consent),
    h("section", { class: "card" }, h("h2", {}, t("data.history")), h("p", {}, t("data.history.what")),
      h("button", { id: "delete-history", onclick: async () => {
        try {
          await agent.deleteHistory();
          done.textContent = t("data.deleted");
          await load();
        } catch (why) {
          done.textContent = t("failed", { why });
        }
      } }, t("data.delete")), done));

  async function load() {
    const [marks, ...sent] = await Promise.all([agent.marks(), ...SIGNALS.map(agent.sent)]);
    batches.replaceChildren(...SIGNALS.map((signal, index) => h("section", { id: `sent-${signal}` }, h("h3", {}, t(`signal.${signal}`)),
      sent[index].length === 0 ? h("p", { class: "quiet" }, t("data.none")) : sent[index].map((one) => batch(one, marks)))));
  }

  let of = null;
  async function update(status) {
    replace(consent, ["platform", "applications"].map((kind) => h("p", {}, h("strong", {}, t(`logs.${kind}`)), ": ", decision(status.consent[kind]))));
    if (of !== status.process_id) {
      of = status.process_id;
      await load();
    }
  }
  return { update };
}

function batch(one, marks) {
  const title = t("data.batch", { time: format.moment(one.acknowledged_unix_ms), items: format.count(one.items), bytes: format.bytes(one.bytes) });
  return h("details", {}, h("summary", {}, title),
    h("pre", { tabindex: "0" }, marked(one.lines.join("\n"), marks)),
    one.left_out > 0 ? h("p", { class: "quiet" }, t("data.more", { count: format.count(one.left_out) })) : null,
    h("h3", {}, t("data.resource")),
    h("pre", { tabindex: "0" }, one.resource.map(([key, value]) => `${key} = ${value}`).join("\n")));
}

function decision(made) {
  if (!made) return t("data.undecided");
  const what = t(made.shared ? "data.shared" : "data.not-shared");
  return t("data.decision", { what, when: format.dateTime(made.at), who: t(`data.by.${made.by}`) });
}
