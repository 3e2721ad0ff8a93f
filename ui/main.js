// The frame: pages, the status that they show, and what happens while there is no agent.

import * as agent from "./agent.js";
import { h, replace } from "./dom.js";
import { t } from "./texts.js";
import * as overview from "./pages/overview.js";
import * as myData from "./pages/my-data.js";
import * as logs from "./pages/logs.js";
import * as connection from "./pages/connection.js";
import * as help from "./pages/help.js";
import * as welcome from "./pages/welcome.js";

const LOOK_MS = 1000;
const pages = { overview, "my-data": myData, logs, connection, help };

const nav = document.getElementById("pages");
const main = document.getElementById("page");
const banner = h("div", { id: "banner", role: "alert" });
const body = h("div", { id: "content" });
main.append(banner, body);
nav.setAttribute("aria-label", "Insights Agent");

let shown = null;

function show() {
  const name = location.hash.slice(1);
  const page = name === "welcome" ? welcome : (pages[name] ?? overview);
  document.body.classList.toggle("welcome", page === welcome);
  nav.replaceChildren(...Object.entries(pages).map(([key, one]) =>
    h("a", { href: `#${key}`, id: `page-${key}`, "aria-current": one === page ? "page" : null }, t(`page.${key}`))));
  shown = page.make(body);
  main.scrollTop = 0;
  look();
}

let looking = false;
async function look() {
  if (looking || document.hidden) return;
  looking = true;
  try {
    const status = await agent.status();
    replace(banner);
    banner.className = "";
    await shown?.update(status);
  } catch (error) {
    banner.className = "banner";
    replace(banner, typeof error === "string" && !error.startsWith("no agent is running") ? t("failed", { why: error }) : t("gone"));
  } finally {
    looking = false;
  }
}

window.addEventListener("hashchange", () => {
  show();
  main.focus();
});
document.addEventListener("visibilitychange", look);
setInterval(look, LOOK_MS);
show();
