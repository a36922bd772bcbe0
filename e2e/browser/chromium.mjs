// Debian's Chromium, and pages that write down whatever should not happen on them.
import { chromium } from "playwright-core";

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // The tests run as root in containers; /dev/shm is small there.
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
}

/** Errors that belong to a server that is killed. */
const LOST_CONNECTION = /ERR_CONNECTION_|ERR_INCOMPLETE|WebSocket connection/;

/** Opens the page in a tab of its own; `complaints` collects errors, dialogs and violations of the content security policy. */
export async function openPage(browser, url, complaints, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  await context.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      window.violations.push(`${violatedDirective}: ${blockedURI}`);
    });
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => complaints.push(`error: ${error}`));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    if (message.type() === "error" && !LOST_CONNECTION.test(message.text())) complaints.push(`console: ${message.text()}`);
  });
  await page.goto(url);
  return page;
}
