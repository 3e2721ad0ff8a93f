// The way to the agent. Every function answers with what the agent says, or throws a sentence.

const invoke = (command, values) => window.__TAURI_INTERNALS__.invoke(command, values);
const ask = (request, values = {}) => invoke("ask_agent", { request: { request, ...values } });

export const status = () => ask("status");
export const shareLogs = (kinds, shared) => ask("share_logs", { kinds, shared });
export const pause = (until) => ask("pause", { until });
export const hour = () => ask("hour");
export const usage = (days) => ask("usage", { days });
export const sent = async (signal) => (await ask("sent", { signal })).batches;
export const deleteHistory = () => ask("delete_history");
export const testConnection = async () => (await ask("test_connection")).probes;
export const settings = async () => (await ask("settings")).settings;
export const welcomed = () => ask("welcomed");
export const previewLogs = (kind) => invoke("preview_logs", { kind });
export const redact = (text) => invoke("redact", { text });
export const previewBundle = () => invoke("preview_bundle");
export const saveBundle = () => invoke("save_bundle");
export const autostart = () => invoke("autostart");
export const setAutostart = (on) => invoke("set_autostart", { on });
export const marks = () => invoke("redaction_rules");
