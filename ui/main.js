// @ts-check
// The frame of the window: navigation, the current page, and the banner shown without an agent.
//
// There is no bundler: the browser loads these files as they are. To check types and format:
//   npx -p typescript tsc --noEmit --allowJs --checkJs --strict --target es2022 \
//     --module es2022 --moduleResolution bundler ui/main.js
//   npx prettier --check ui

import * as agent from "./agent.js";
import { h, replace } from "./dom.js";
import { failure } from "./parts.js";
import { t } from "./texts.js";
import * as overview from "./pages/overview.js";
import * as myData from "./pages/my-data.js";
import * as logs from "./pages/logs.js";
import * as connection from "./pages/connection.js";
import * as help from "./pages/help.js";
import * as welcome from "./pages/welcome.js";

/**
 * A page draws itself once with `make` and is then updated with every status.
 *
 * @typedef {{ update: (status: import("./protocol").Status) => unknown }} Page
 */

const UPDATE_INTERVAL_MS = 1000;

/** @type {Record<string, { make: (body: HTMLElement) => Page }>} */
const pages = { overview, "my-data": myData, logs, connection, help };

const nav = /** @type {HTMLElement} */ (document.getElementById("pages"));
const main = /** @type {HTMLElement} */ (document.getElementById("page"));
const banner = h("div", { id: "banner", role: "alert" });
const body = h("div", { id: "content" });
main.append(banner, body);
nav.setAttribute("aria-label", "Insights Agent");

/** @type {Page | null} */
let current = null;

/** Draws the page that the address names. */
function show() {
  const name = location.hash.slice(1);
  const page = name === "welcome" ? welcome : (pages[name] ?? overview);
  document.body.classList.toggle("welcome", page === welcome);
  nav.replaceChildren(
    ...Object.entries(pages).map(([key, one]) =>
      h(
        "a",
        { "href": `#${key}`, "id": `page-${key}`, "aria-current": one === page ? "page" : null },
        t(`page.${key}`),
      ),
    ),
  );
  current = page.make(body);
  main.scrollTop = 0;
  update();
}

let isUpdating = false;

/** Asks for the status and hands it to the page. A hidden window asks nothing. */
async function update() {
  if (isUpdating || document.hidden) return;
  isUpdating = true;
  try {
    const status = await agent.status();
    replace(banner);
    banner.className = "";
    await current?.update(status);
  } catch (why) {
    const isNotRunning = why instanceof agent.AgentError && why.code === "not_running";
    banner.className = "banner";
    replace(banner, isNotRunning ? t("gone") : failure(why));
  } finally {
    isUpdating = false;
  }
}

window.addEventListener("hashchange", () => {
  show();
  main.focus();
});
document.addEventListener("visibilitychange", update);
setInterval(update, UPDATE_INTERVAL_MS);
show();
