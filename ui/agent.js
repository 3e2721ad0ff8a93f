// @ts-check
// Calls the running agent and the window's own commands (src-tauri/src/window.rs). Every function
// returns the reply or throws an `AgentError` whose message is a sentence for the user.

/**
 * @typedef {import("./protocol").Status} Status
 * @typedef {import("./protocol").LogKind} LogKind
 * @typedef {import("./protocol").SentBatch} SentBatch
 *
 * @typedef {object} LogPreview The latest log records of a kind, as they would be sent.
 * @property {{ path: string, records: { text: string, left_out: boolean }[] }[]} files
 * @property {string[]} looked_in Folders that were searched.
 */

/** Why a call failed. `code` is `not_running` when no agent runs, otherwise `failed`. */
export class AgentError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * Calls a command of the window's program.
 *
 * @param {string} command
 * @param {Record<string, unknown>} [values]
 * @returns {Promise<any>}
 */
async function invoke(command, values) {
  try {
    // @ts-ignore Tauri puts this object into the page.
    return await window.__TAURI_INTERNALS__.invoke(command, values);
  } catch (failure) {
    const { code = "failed", message = String(failure) } = /** @type {any} */ (failure) ?? {};
    throw new AgentError(code, message);
  }
}

/**
 * Sends a request to the agent.
 *
 * @param {string} request
 * @param {Record<string, unknown>} values
 */
const ask = (request, values = {}) => invoke("ask_agent", { request: { request, ...values } });

/** @returns {Promise<Status>} */
export const status = () => ask("status");

/**
 * @param {LogKind[]} kinds
 * @param {boolean} shared
 * @returns {Promise<{ deleted: number }>} How many queued log records were deleted.
 */
export const shareLogs = (kinds, shared) => ask("share_logs", { kinds, shared });

/** @param {"one_hour" | "tomorrow" | "now"} until `now` ends a pause. */
export const pause = (until) => ask("pause", { until });

/** @returns {Promise<import("./protocol").Hour>} */
export const lastHour = () => ask("hour");

/**
 * @param {number} days Today included.
 * @returns {Promise<import("./protocol").Day>}
 */
export const usage = (days) => ask("usage", { days });

/**
 * @param {string} signal
 * @returns {Promise<SentBatch[]>} The latest first.
 */
export const sentBatches = async (signal) => (await ask("sent", { signal })).batches;

export const deleteHistory = () => ask("delete_history");

/** @returns {Promise<import("./protocol").Probe[]>} */
export const testConnection = async () => (await ask("test_connection")).probes;

/** @returns {Promise<import("./protocol").SettingLine[]>} */
export const settings = async () => (await ask("settings")).settings;

/** Records that the user has seen the welcome page. */
export const welcomed = () => ask("welcomed");

/**
 * @param {LogKind} kind
 * @returns {Promise<LogPreview>}
 */
export const previewLogs = (kind) => invoke("preview_logs", { kind });

/**
 * @param {string} text
 * @returns {Promise<{ text: string, hidden: Record<string, number> }>}
 */
export const redact = (text) => invoke("redact", { text });

/** @returns {Promise<string[]>} The marks that replace removed text. */
export const redactionMarks = () => invoke("redaction_rules");

/** @returns {Promise<{ name: string, text: string }[]>} */
export const previewBundle = () => invoke("preview_bundle");

/** @returns {Promise<string>} The saved file. */
export const saveBundle = () => invoke("save_bundle");

/** @returns {Promise<{ is_on: boolean, is_set: boolean }>} `is_set`: by the organisation. */
export const autostart = () => invoke("autostart");

/** @param {boolean} on */
export const setAutostart = (on) => invoke("set_autostart", { on });
