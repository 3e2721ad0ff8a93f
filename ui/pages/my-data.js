// @ts-check
// The exported data: a description, the latest batches, and the data stored on this computer.

import * as agent from "../agent.js";
import { h, marked, replace } from "../dom.js";
import * as format from "../format.js";
import { action, card, LOG_KINDS, note, SIGNALS } from "../parts.js";
import { t } from "../texts.js";

const NEVER_SENT = ["screen", "input", "files", "history"];

/** @param {HTMLElement} body */
export function make(body) {
  const batches = h("div", { id: "batches" });
  const choices = h("div", { id: "consent" });
  const load = async () => batches.replaceChildren(...(await recentBatches()));
  body.replaceChildren(
    h("h1", {}, t("data.title")),
    h("p", {}, t("data.intro")),
    h("p", {}, t("data.identity")),
    kindsOfData(),
    card(t("data.last"), batches, note(t("data.kept"))),
    card(t("data.never"), neverSent()),
    card(t("data.consent"), choices),
    storedHistory(load),
  );

  // An agent that was started again has other batches.
  /** @type {number | null} */
  let loadedFrom = null;
  /** @param {agent.Status} status */
  async function update(status) {
    replace(choices, ...LOG_KINDS.map((kind) => choice(kind, status)));
    if (loadedFrom === status.process_id) return;
    loadedFrom = status.process_id;
    await load();
  }
  return { update };
}

function kindsOfData() {
  /** @param {string} kind */
  const inWords = (kind) => [h("h2", {}, t(`signal.${kind}`)), h("p", {}, t(`data.${kind}`))];
  return h("section", { class: "card" }, [...SIGNALS, "apps"].map(inWords));
}

const neverSent = () =>
  h(
    "ul",
    {},
    NEVER_SENT.map((name) => h("li", {}, t(`data.never.${name}`))),
  );

/** @param {() => Promise<unknown>} reload */
function storedHistory(reload) {
  const done = h("p", { role: "status" });
  const deleteAll = action(done, async () => {
    await agent.deleteHistory();
    done.textContent = t("data.deleted");
    await reload();
  });
  return card(
    t("data.history"),
    h("p", {}, t("data.history.what")),
    h("button", { id: "delete-history", onclick: deleteAll }, t("data.delete")),
    done,
  );
}

async function recentBatches() {
  const [marks, ...bySignal] = await Promise.all([
    agent.redactionMarks(),
    ...SIGNALS.map(agent.sentBatches),
  ]);
  return SIGNALS.map((signal, index) => {
    const sent = bySignal[index];
    const shown = sent.length === 0 ? note(t("data.none")) : sent.map((one) => batch(one, marks));
    return h("section", { id: `sent-${signal}` }, h("h3", {}, t(`signal.${signal}`)), shown);
  });
}

/**
 * @param {agent.SentBatch} sent
 * @param {string[]} marks
 */
function batch(sent, marks) {
  const title = t("data.batch", {
    time: format.moment(sent.acknowledged_unix_ms),
    items: format.count(sent.items),
    bytes: format.bytes(sent.bytes),
  });
  const resource = sent.resource.map(([key, value]) => `${key} = ${value}`);
  return h(
    "details",
    {},
    h("summary", {}, title),
    h("pre", { tabindex: "0" }, marked(sent.lines.join("\n"), marks)),
    sent.left_out > 0 ? note(t("more", { count: format.count(sent.left_out) })) : null,
    h("h3", {}, t("data.resource")),
    h("pre", { tabindex: "0" }, resource.join("\n")),
  );
}

/**
 * @param {agent.LogKind} kind
 * @param {agent.Status} status
 */
function choice(kind, { consent }) {
  const made = consent[kind];
  const inWords = !made
    ? t("data.undecided")
    : t("data.decision", {
        what: t(made.shared ? "data.shared" : "data.not-shared"),
        when: format.dateTime(made.at),
        who: t(`data.by.${made.by}`),
      });
  return h("p", {}, h("strong", {}, t(`logs.${kind}`)), ": ", inWords);
}
