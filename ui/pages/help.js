// @ts-check
// Help: version and data folder, autostart, the support file, and the licences of components.

import * as agent from "../agent.js";
import { h, replace } from "../dom.js";
import * as format from "../format.js";
import { licences } from "../licences.js";
import { action, card, facts, table, toggle } from "../parts.js";
import { t } from "../texts.js";

const COMMANDS = [
  "insights-agent doctor",
  "insights-agent status",
  "insights-agent queue",
  "insights-agent config show",
  "insights-agent config check",
];

/** @param {HTMLElement} body */
export function make(body) {
  const program = h("div");
  body.replaceChildren(
    h("h1", {}, t("help.title")),
    h("section", { class: "card" }, program, ...autostart()),
    supportCard(),
    licencesCard(),
  );
  return { update: (/** @type {agent.Status} */ status) => replace(program, programFacts(status)) };
}

/** @param {agent.Status} status */
const programFacts = (status) =>
  facts([
    [t("help.version"), status.version],
    [t("help.since"), format.dateTime(status.started_unix_ms)],
    [t("help.process"), String(status.process_id)],
    [t("help.data"), h("code", {}, status.data_dir)],
  ]);

/** A switch that shows what the system says, so it is read again after every change. */
function autostart() {
  const message = h("p", { class: "quiet", role: "status" });
  const read = async () => {
    const { is_on: isOn, is_set: isFixed } = await agent.autostart();
    button.setAttribute("aria-checked", String(isOn));
    button.disabled = isFixed;
    if (isFixed) message.textContent = t("policy.set");
  };
  /** @param {boolean} on */
  const change = (on) => agent.setAutostart(on).finally(read);
  const button = toggle("autostart", "name-autostart", change, message);
  button.disabled = true;
  action(message, read)();
  const title = h("h2", { id: "name-autostart" }, t("help.autostart"));
  return [h("div", { class: "row between" }, title, button), message];
}

function supportCard() {
  const message = h("p", { id: "saved", role: "status" });
  const files = h("div", { id: "bundle-files" });
  const save = action(message, async () => {
    message.textContent = t("help.bundle.collecting");
    message.textContent = t("help.bundle.saved", { file: await agent.saveBundle() });
  });
  const preview = action(message, async () => {
    message.textContent = t("help.bundle.collecting");
    replace(files, ...(await agent.previewBundle()).map(bundleFile));
    message.textContent = "";
  });
  return card(
    t("help.support"),
    ["what", "with", "without"].map((part) => h("p", {}, t(`help.bundle.${part}`))),
    h(
      "div",
      { class: "row" },
      h("button", { id: "save-bundle", onclick: save }, t("help.bundle")),
      h("button", { id: "preview-bundle", onclick: preview }, t("help.bundle.preview")),
    ),
    message,
    files,
    h("p", {}, t("help.support.what")),
    h("pre", { tabindex: "0" }, COMMANDS.join("\n")),
  );
}

/** @param {{ name: string, text: string }} file */
const bundleFile = ({ name, text }) =>
  h(
    "details",
    {},
    h("summary", {}, t("help.bundle.file", { name, size: format.bytes(text.length) })),
    h("pre", { tabindex: "0" }, text),
  );

/** A build without `cargo xtask licences` has an empty list. */
function licencesCard() {
  if (licences.length === 0) return card(t("help.licences"), h("p", {}, t("help.licences.none")));
  const columns = ["name", "version", "licence", "source"].map((name) => ({
    name: t(`help.${name}`),
  }));
  const rows = licences.map(([name, version, licence, source]) => [
    h("code", {}, name),
    version,
    licence,
    source,
  ]);
  return card(
    t("help.licences"),
    h("p", {}, t("help.licences.what", { count: format.count(licences.length) })),
    h(
      "details",
      { id: "licences" },
      h("summary", {}, t("help.licences.show")),
      table(columns, rows, "names"),
    ),
  );
}
