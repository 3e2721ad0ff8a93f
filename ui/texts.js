// @ts-check
// Every text that the window's own code shows. To translate the window, translate this file;
// {names} in braces stay as they are.
//
// These sentences come ready-made from the agent, because the tray menu and the command line show
// the same ones:
//   - the sentence beside the state (`status.sentence`):        agent/src/status.rs
//   - why a delivery failed, and answers of the connection test: agent/src/pipeline/exporter/
//   - problems of the queue and of the settings:                agent/src/pipeline/queue/,
//                                                               agent/src/config/
//   - why the agent refused a request:                          agent/src/agent/control_handler.rs,
//                                                               agent/src/agent/consent_service.rs
//   - why the window could not do something itself:             src-tauri/src/window.rs

/** @type {Record<string, string>} */
const texts = {
  "page.overview": "Overview",
  "page.my-data": "My data",
  "page.logs": "Logs",
  "page.connection": "Connection",
  "page.help": "Help",
  "gone":
    "Insights Agent is not running, so nothing is collected or sent. This page continues when the agent starts again.",
  "failed": "That did not work: {why}",
  "loading": "One moment…",
  "more": "{count} more not shown.",

  "state.starting": "Starting",
  "state.delivering": "Connected",
  "state.buffering": "Waiting",
  "state.attention": "Needs attention",
  "state.paused": "Paused",

  "pause.hour": "Pause for 1 hour",
  "pause.tomorrow": "Pause until tomorrow",
  "pause.resume": "Resume",
  "pause.what":
    "While paused, nothing is measured or sent. If you share logs, lines written during the pause are sent afterwards.",
  "pause.none": "Your organisation has turned off pausing.",

  "policy.set": "Set by your organisation. You cannot change it here.",

  "overview.title": "Status",
  "overview.hour": "The last hour",
  "overview.machine": "This computer",
  "overview.connect": "io.Connect",
  "overview.cpu": "CPU",
  "overview.memory": "Memory",
  "overview.no-minutes": "Nothing measured yet. The first values appear within a minute.",
  "overview.delivery": "Deliveries",
  "overview.signal": "Data",
  "overview.last": "Last delivery",
  "overview.delivered": "Delivered",
  "overview.waiting": "Waiting",
  "overview.never": "None yet",
  "overview.since": "Counted since {time}, when Insights Agent started.",

  "chart.label": "{title} over the last hour. Use the arrow keys to move through the minutes.",
  "chart.hint": "Point at the chart to see values.",
  "chart.time": "Time",

  "today.title": "Your apps today",
  "today.what":
    "How long you worked in each app. Everything outside io.Connect is one line, without names, unless your company has named the program in its settings.",
  "today.none": "Nothing recorded today yet.",
  "today.active": "{time} active",
  "today.idle": "{time} idle",
  "today.locked": "{time} locked",
  "today.suspended": "{time} asleep",
  "today.disconnected": "{time} disconnected",
  "today.unknown": "{time} unknown",
  "today.app": "App",
  "today.focus": "Time in use",
  "today.switches": "Switches",
  "today.starts": "Starts",
  "today.other": "All other programs",
  "today.platform": "io.Connect, unknown app",

  "signal.metrics": "Measurements",
  "signal.traces": "Traces",
  "signal.logs": "Log records",
  "signal.apps": "Data from apps",

  "data.title": "Your data",
  "data.intro":
    "This program sends data to a collector that your company runs. This page shows what it sends: first in words, then the data itself.",
  "data.identity":
    "Each batch says which computer, user and session it comes from. Your company decides whether this data contains your name, a code instead of your name, or neither.",
  "data.metrics":
    "CPU, memory, disk and network use of this computer and of io.Connect, and the number of io.Connect processes. How long you used each io.Connect app and how often it started. How long your session was active, idle or locked. All other programs are counted together, without names, unless your company has named the program in its settings.",
  "data.traces":
    "When io.Connect closes, this program sends the times at which io.Connect ran and at which each of its apps was open and in use.",
  "data.logs":
    "Lines from io.Connect's log files, only while they are shared. Also a short record each time you change log sharing, and when a session starts or ends.",
  "data.apps":
    "io.Connect and its apps can send their own measurements, traces and logs. They choose what they send. Their log records are sent only while application logs are shared.",
  "data.last": "Recently sent",
  "data.none": "None sent since Insights Agent started.",
  "data.batch": "{time}: {bytes}, number of items: {items}",
  "data.resource": "Where this data comes from",
  "data.kept":
    "These copies exist only in memory and are gone when Insights Agent closes. Batches above 64 KiB are not shown, and long lines are shortened.",
  "data.never": "What Insights Agent itself never sends",
  "data.never.screen": "What is on your screen, window titles, or web addresses",
  "data.never.input": "What you type, copy or click",
  "data.never.files": "Your files, except io.Connect log lines that are shared",
  "data.never.history":
    "Log lines from before they were shared. Exception: your company has set that they are included.",
  "data.history": "Stored on this computer",
  "data.history.what":
    "For this window, the last hour of measurements and the latest batches are kept in memory. Your time by app is kept on disk for seven days.",
  "data.delete": "Delete",
  "data.deleted": "Deleted.",
  "data.consent": "Your choices on sharing logs",
  "data.undecided": "No choice yet, so nothing is shared.",
  "data.decision": "{what} on {when}, by {who}.",
  "data.shared": "Shared",
  "data.not-shared": "Not shared",
  "data.by.user": "you",
  "data.by.policy": "your organisation",

  "logs.title": "Share log files",
  "logs.intro":
    "io.Connect and its apps write log files on this computer. They help support find out why something failed. They are sent only if you or your organisation share them; a preview reads them without sending anything. You can stop at any time; log lines not sent yet are then deleted.",
  "logs.platform": "Platform logs",
  "logs.platform.what":
    "What io.Connect itself writes: which apps it starts, which connections it makes, what goes wrong.",
  "logs.applications": "Application logs",
  "logs.applications.what": "What the apps in io.Connect write. The content depends on each app.",
  "logs.turned-off": "No longer shared. Log records deleted before they were sent: {count}.",
  "logs.preview": "Preview",
  "logs.preview.what":
    "The latest records of your newest log files, read just now for this preview. They are not stored or sent. Coloured marks replace removed text. Struck-out records are not sent at all.",
  "logs.preview.none": "No log files found in:",
  "logs.rules": "What is removed before sending",
  "logs.rules.what":
    "Before anything is stored or sent, sensitive text is replaced with one of these marks:",
  "logs.rules.limit":
    "These rules recognise known patterns. They cannot recognise a name in a sentence or your company's own numbers.",
  "logs.try": "Try it yourself",
  "logs.try.label": "Your text",
  "logs.try.example": "login of jane@example.com with password=s3cret failed",
  "logs.try.result": "What would be sent",

  "connection.title": "Connection",
  "connection.collector": "Collector",
  "connection.protocol": "Protocol",
  "connection.last": "Last delivery",
  "connection.problem": "Problem",
  "connection.test": "Test connection",
  "connection.testing": "Contacting the collector…",
  "connection.ok": "OK",
  "connection.not-ok": "Failed",
  "connection.took": "{ms} ms",
  "connection.settings": "Settings",
  "connection.search": "Search settings",
  "connection.name": "Name",
  "connection.value": "Value",
  "connection.origin": "Set by",

  "help.title": "Help",
  "help.version": "Version",
  "help.data": "Data folder",
  "help.process": "Process ID",
  "help.since": "Running since",
  "help.autostart": "Start when I sign in",
  "help.bundle": "Save support file",
  "help.bundle.preview": "Preview",
  "help.bundle.file": "{name}, {size}",
  "help.bundle.collecting": "Collecting…",
  "help.bundle.saved": "Saved as {file}",
  "help.bundle.what":
    "Creates a ZIP file for support. You can preview it before you save or share it.",
  "help.bundle.with":
    "It contains: status, health checks, settings without passwords, numbers about the queue, names and sizes of io.Connect's log files, and Insights Agent's own log. Your user name and anything that looks like a secret are removed.",
  "help.bundle.without":
    "It does not contain: io.Connect log lines, data waiting to be sent, or your time by app.",
  "help.licences": "Licences",
  "help.licences.what":
    "Insights Agent is built with {count} open-source components, with thanks to their authors.",
  "help.licences.none": "This is a development build. The release contains the list of components.",
  "help.licences.show": "Show components",
  "help.name": "Name",
  "help.licence": "Licence",
  "help.source": "Source",
  "help.support": "For support",
  "help.support.what": "These commands show the same information as this window in a terminal:",

  "welcome.title": "Welcome to Insights Agent",
  "welcome.what":
    "Your company installed this small program. It measures how much of this computer io.Connect uses and how long you use each io.Connect app. Your company uses this to find and fix slow or failing computers.",
  "welcome.sent":
    "Without log files it sends: CPU, memory, disk and network use, io.Connect's processes, how long its apps were in use, and the measurements and traces that io.Connect and its apps send. On its own, it never sends what is on your screen, what you type, your files, or the names of other programs, unless your company has named the program in its settings.",
  "welcome.question": "Share log files?",
  "welcome.why":
    "Logs help support find out why something failed. Passwords, e-mail addresses, card numbers and IBANs and your user name are removed first. You can change this at any time, here or in the tray menu.",
  "welcome.set-on": " Your organisation has turned this on.",
  "welcome.set-off": " Your organisation has turned this off.",
  "welcome.share": "Share selected",
  "welcome.later": "Not now",
};

/**
 * Returns a text with its {names} filled in.
 *
 * @param {string} key
 * @param {Record<string, unknown>} values
 * @returns {string}
 */
export function t(key, values = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
