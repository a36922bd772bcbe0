import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";

import { Nuncio } from "./nuncio.js";

let browser: Browser;
let nuncio: Nuncio;
let complaints: string[];

beforeAll(async () => {
  browser = await chromium.launch({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
});
afterAll(() => browser.close());
beforeEach(async () => {
  nuncio = await Nuncio.start();
  complaints = [];
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await nuncio?.end();
});

async function signIn(name: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (/Content Security Policy|TypeError/.test(message.text())) complaints.push(message.text());
  });
  await page.goto(nuncio.page);
  await page.getByTestId("name-input").fill(name);
  await page.getByTestId("name-submit").click();
  await connected(page);
  return page;
}

const connected = (page: Page) => page.locator("[data-testid=connection-state][data-state=ready]").waitFor();
const message = (page: Page, text: string) => page.locator("[data-testid=messages]:visible [data-testid=message]").filter({ hasText: text });
const texts = (page: Page) => page.locator("[data-testid=messages]:visible [data-testid=message-text]").allTextContents();

async function say(page: Page, text: string): Promise<void> {
  await page.getByTestId("message-input").fill(text);
  await page.getByTestId("message-input").press("Enter");
}

it("two tabs chat, see each other and write alone", async () => {
  const ann = await signIn("ann");
  const bob = await signIn("bob");
  await ann.locator("[data-testid=member][data-user=bob]").waitFor();
  await bob.getByTestId("message-input").pressSequentially("hel");
  await ann.getByTestId("typing").filter({ hasText: "bob is typing" }).waitFor();
  await say(bob, "hello ann");
  await message(ann, "hello ann").waitFor();
  await bob.locator("[data-testid=message][data-status=sent]").filter({ hasText: "hello ann" }).waitFor();
  await ann.locator("[data-testid=member][data-user=bob] button").click();
  await say(ann, "psst");
  await bob.locator("[data-testid=private-conversation][data-user=ann]").click();
  await message(bob, "psst").waitFor();
  expect(complaints).toEqual([]);
});

it("a killed and restarted server keeps what was acknowledged; what was written meanwhile arrives once", async () => {
  const ann = await signIn("ann");
  const bob = await signIn("bob");
  await say(ann, "before");
  await message(bob, "before").waitFor();
  await ann.locator("[data-testid=message][data-status=sent]").filter({ hasText: "before" }).waitFor();
  await nuncio.kill();
  await ann.locator("[data-testid=connection-state][data-state=waiting]").waitFor();
  await say(ann, "written offline");
  await nuncio.run();
  await Promise.all([connected(ann), connected(bob)]);
  await message(bob, "written offline").waitFor();
  await ann.locator("[data-testid=message][data-status=sent]").filter({ hasText: "written offline" }).waitFor();
  expect(await texts(ann)).toEqual(["before", "written offline"]);
  expect(await texts(bob)).toEqual(["before", "written offline"]);
});

it("a reader who was away sees what was missed behind a divider", async () => {
  const ann = await signIn("ann");
  const bob = await signIn("bob");
  await say(bob, "before");
  await message(ann, "before").waitFor();
  await ann.getByTestId("offline-switch").check();
  for (const text of ["one", "two", "three"]) await say(bob, text);
  await bob.locator("[data-testid=message][data-status=sent]").nth(3).waitFor();
  await ann.getByTestId("offline-switch").uncheck();
  await message(ann, "three").waitFor();
  expect(await ann.locator("[data-testid=divider][data-kind=missed]").textContent()).toBe("3 missed messages");
  expect(await texts(ann)).toEqual(["before", "one", "two", "three"]);
});

it("names, rooms and messages of users are text", async () => {
  const attack = (part: string) => `<img src=x onerror="window.${part}=1">`;
  const ann = await signIn(attack("name"));
  const bob = await signIn("bob");
  await bob.getByTestId("room-input").fill(attack("room"));
  await bob.getByTestId("room-input").press("Enter");
  await bob.getByTestId("title").filter({ hasText: attack("room") }).waitFor();
  await bob.locator("[data-testid=room][data-room=lobby]").click();
  await say(ann, attack("message"));
  await message(bob, attack("message")).waitFor();
  for (const page of [ann, bob]) {
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.evaluate(() => ["name", "room", "message"].filter((part) => (window as never)[part] === 1))).toEqual([]);
  }
  expect(complaints).toEqual([]);
});
