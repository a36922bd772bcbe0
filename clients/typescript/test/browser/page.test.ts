import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { ModelServer } from "../model-server.js";
import { type Serving, serve } from "./serve.js";

let browser: Browser;
let server: Serving;
let complaints: string[];

beforeAll(async () => {
  browser = await chromium.launch({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
});
afterAll(() => browser.close());
beforeEach(async () => {
  server = await serve(new ModelServer());
  complaints = [];
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await server.kill();
});

async function open(options: BrowserContextOptions = {}): Promise<Page> {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })).newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // Also the browser's own report of a violated content security policy.
    if (message.type() === "error" && !/ERR_CONNECTION_REFUSED|WebSocket connection/.test(message.text())) complaints.push(message.text());
  });
  await page.goto(server.url);
  return page;
}

async function signIn(name: string, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await open(options);
  await page.getByTestId("name-input").fill(name);
  await page.getByTestId("name-submit").click();
  await connected(page);
  return page;
}

const state = (page: Page, name: string) => page.locator(`[data-testid=connection-state][data-state=${name}]`).waitFor();
const connected = (page: Page) => state(page, "ready");
const texts = (page: Page) => page.locator("[data-testid=messages]:visible [data-testid=message-text]").allTextContents();
const message = (page: Page, text: string) => page.locator("[data-testid=messages]:visible [data-testid=message]").filter({ hasText: text });

async function say(page: Page, text: string): Promise<void> {
  await page.getByTestId("message-input").fill(text);
  await page.getByTestId("message-input").press("Enter");
}

async function join(page: Page, room: string): Promise<void> {
  await page.getByTestId("room-input").fill(room);
  await page.getByTestId("room-input").press("Enter");
}

describe("two people on the page", () => {
  it("read each other, see who is here and who types, and get ticks for what is stored", async () => {
    const ann = await signIn("ann");
    const bob = await signIn("bob");
    await ann.locator("[data-testid=member][data-user=bob]").waitFor();
    await bob.getByTestId("message-input").pressSequentially("hel");
    await ann.getByTestId("typing").filter({ hasText: "bob is typing" }).waitFor();
    await say(bob, "hello ann");
    await message(ann, "hello ann").waitFor();
    await bob.locator("[data-testid=message][data-status=sent]").filter({ hasText: "hello ann" }).waitFor();
    expect(await ann.getByTestId("typing").textContent()).toBe("");
    await bob.close();
    await ann.locator("[data-testid=member][data-user=bob]").waitFor({ state: "detached" });
    expect(complaints).toEqual([]);
  });

  it("see history on joining, and what is said in other rooms as a count", async () => {
    const ann = await signIn("ann");
    await say(ann, "one");
    await say(ann, "two");
    await ann.locator("[data-status=sent]").nth(1).waitFor();
    const bob = await signIn("bob");
    await message(bob, "two").waitFor();
    expect(await texts(bob)).toEqual(["one", "two"]);
    await join(bob, "news");
    await bob.getByTestId("title").filter({ hasText: "news" }).waitFor();
    await say(ann, "three");
    await bob.locator("[data-testid=room][data-room=lobby] [data-testid=unread]").filter({ hasText: "1" }).waitFor();
    expect(await bob.title()).toBe("(1) news · nuncio");
    await bob.locator("[data-testid=room][data-room=lobby]").click();
    expect(await texts(bob)).toEqual(["one", "two", "three"]);
    expect(await bob.title()).toBe("lobby · nuncio");
  });

  it("write to each other alone, and are told when nobody got it", async () => {
    const ann = await signIn("ann");
    const bob = await signIn("bob");
    await ann.locator("[data-testid=member][data-user=bob] button").click();
    await say(ann, "psst");
    await ann.locator("[data-testid=message][data-status=sent]").filter({ hasText: "psst" }).waitFor();
    await bob.locator("[data-testid=private-conversation][data-user=ann]").click();
    expect(await texts(bob)).toEqual(["psst"]);
    await bob.close();
    await expect.poll(() => server.model.users("lobby")).toEqual(["ann"]);
    await say(ann, "still there?");
    await ann.locator("[data-testid=message][data-status=failed]").filter({ hasText: "bob is not here" }).waitFor();
  });
});

describe("a connection that breaks", () => {
  it("comes back after the server was killed and shows what was missed, once and in order", async () => {
    const ann = await signIn("ann");
    await say(ann, "before");
    await message(ann, "before").waitFor();
    const { model, port } = server;
    await server.kill();
    await state(ann, "waiting");
    for (const content of ["first missed", "second missed"]) model.publish("chat:message", "lobby", { userId: "bob", content });
    await say(ann, "written offline");
    await ann.locator("[data-testid=message][data-status=pending]").filter({ hasText: "written offline" }).waitFor();
    server = await serve(model, port);
    await ann.getByTestId("retry-now").click({ timeout: 1000 }).catch(() => {});
    await connected(ann);
    await ann.locator("[data-testid=message][data-status=sent]").filter({ hasText: "written offline" }).waitFor();
    expect(await ann.locator("[data-testid=divider][data-kind=missed]").textContent()).toBe("2 missed messages");
    expect(await texts(ann)).toEqual(["before", "first missed", "second missed", "written offline"]);
    expect(model.room("lobby").log.map((each) => each["content"])).toEqual(["before", "first missed", "second missed", "written offline"]);
  });

  it("says so when messages could not be recovered", async () => {
    const ann = await signIn("ann");
    await say(ann, "before");
    await message(ann, "before").waitFor();
    await ann.getByTestId("offline-switch").check();
    server.model.rooms.delete("lobby");
    server.model.publish("chat:message", "lobby", { userId: "bob", content: "in another epoch" });
    await ann.getByTestId("offline-switch").uncheck();
    await connected(ann);
    await ann.locator("[data-testid=divider][data-kind=gap]").waitFor();
  });

  it("is not noticed by a reader who reloads: the name, the rooms and their history are back", async () => {
    const ann = await signIn("ann");
    await join(ann, "news");
    await say(ann, "in the news");
    await message(ann, "in the news").waitFor();
    await ann.reload();
    await connected(ann);
    await ann.locator("[data-testid=room][data-room=news]").click();
    await message(ann, "in the news").waitFor();
    expect(await ann.getByTestId("me").textContent()).toBe("ann");
  });
});

describe("text of users", () => {
  it("is text wherever it stands: as a name, a room, a message", async () => {
    const attack = (part: string) => `<img src=x onerror="window.${part}=1">`;
    const ann = await signIn(attack("name"));
    const bob = await signIn("bob");
    await say(ann, attack("message"));
    await message(bob, attack("message")).waitFor();
    await ann.getByTestId("message-input").pressSequentially("x");
    await bob.getByTestId("typing").filter({ hasText: attack("name") }).waitFor();
    await join(bob, attack("room"));
    await bob.getByTestId("title").filter({ hasText: attack("room") }).waitFor();
    await join(bob, `secret ${attack("error")}`);
    await bob.getByTestId("room-error").filter({ hasText: attack("error") }).waitFor();
    await bob.locator("[data-testid=room][data-room=lobby]").click();
    await bob.getByTestId("member").filter({ hasText: attack("name") }).getByRole("button").click();
    await say(bob, attack("private"));
    await ann.getByTestId("private-conversation").click();
    await message(ann, attack("private")).waitFor();
    for (const page of [ann, bob]) {
      expect(await page.locator("img").count()).toBe(0);
      expect(await page.evaluate(() => ["name", "message", "room", "error", "private"].filter((part) => part in window && (window as never)[part] === 1))).toEqual([]);
    }
    expect(complaints).toEqual([]);
  });
});

describe("the page", () => {
  it("is dark or light as the system is, until the user chooses", async () => {
    const paper = (page: Page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const page = await signIn("ann", { colorScheme: "dark" });
    const dark = await paper(page);
    await page.getByTestId("theme-toggle").click();
    const light = await paper(page);
    expect(light).not.toBe(dark);
    await page.reload();
    await connected(page);
    expect(await paper(page)).toBe(light);
    await page.getByTestId("theme-toggle").click();
    expect(await paper(page)).toBe(dark);
  });

  it("fits a phone: nothing scrolls sideways, no field makes it zoom, lists are drawers", async () => {
    const page = await signIn("ann", { viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true });
    await say(page, "a".repeat(400));
    await message(page, "aaa").waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
    const sizes = await page.locator("input[type=text], textarea").evaluateAll((fields) => fields.map((field) => parseFloat(getComputedStyle(field).fontSize)));
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(16);
    await page.getByRole("button", { name: "Conversations" }).click();
    await join(page, "news");
    await page.getByTestId("title").filter({ hasText: "news" }).waitFor();
    await page.getByRole("button", { name: "Who is here" }).click();
    await page.locator("[data-testid=member][data-user=ann]").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("[data-testid=members]").waitFor({ state: "hidden" });
  });

  it("can be used with the keyboard alone", async () => {
    const page = await open();
    await page.keyboard.type("ann");
    await page.keyboard.press("Enter");
    await connected(page);
    await page.keyboard.type("by keyboard");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("on two lines");
    await page.keyboard.press("Enter");
    await message(page, "by keyboard").waitFor();
    expect(await texts(page)).toEqual(["by keyboard\non two lines"]);
    await join(page, "news");
    await page.getByTestId("title").filter({ hasText: "news" }).waitFor();
    await page.keyboard.press("Alt+ArrowUp");
    await page.getByTestId("title").filter({ hasText: "lobby" }).waitFor();
  });

  it("does not shift while messages, typing and members come and go", async () => {
    const ann = await signIn("ann");
    await ann.evaluate(() => {
      const shifts = ((window as never as { shifts: number[] }).shifts = []) as number[];
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) shifts.push((entry as never as { value: number }).value);
      }).observe({ type: "layout-shift", buffered: false });
    });
    const bob = await signIn("bob");
    await bob.getByTestId("message-input").pressSequentially("typing");
    await ann.getByTestId("typing").filter({ hasText: "bob is typing" }).waitFor();
    await say(bob, "said");
    await message(ann, "said").waitFor();
    await ann.getByTestId("offline-switch").check();
    await state(ann, "waiting");
    await ann.getByTestId("offline-switch").uncheck();
    await connected(ann);
    const shifts = await ann.evaluate(() => (window as never as { shifts: number[] }).shifts);
    expect(shifts.reduce((sum, value) => sum + value, 0)).toBeLessThan(0.02);
  });

  it("shows earlier messages on demand", async () => {
    for (let index = 1; index <= 70; index++) server.model.publish("chat:message", "lobby", { userId: "bob", content: `number ${index}` });
    const page = await signIn("ann");
    await message(page, "number 70").waitFor();
    expect((await texts(page))[0]).toBe("number 21");
    await page.getByTestId("earlier").click();
    await message(page, "number 20").first().waitFor();
    expect(await texts(page)).toEqual(Array.from({ length: 70 }, (_, index) => `number ${index + 1}`));
    await page.getByTestId("earlier").waitFor({ state: "detached" });
  });

  it("says that a room may not be joined, and what to do where no demo tokens are given", async () => {
    const page = await signIn("ann");
    await join(page, "secret");
    await page.getByTestId("room-error").filter({ hasText: "no right to join secret" }).waitFor();
    expect(await page.locator("[data-testid=room][data-room=secret]").count()).toBe(0);
    const other = await open();
    await other.route("**/demo/token", (route) => route.fulfill({ status: 404 }));
    await other.getByTestId("name-input").fill("bob");
    await other.getByTestId("name-submit").click();
    await other.getByTestId("name-error").filter({ hasText: "not in demo mode" }).waitFor();
  });
});
