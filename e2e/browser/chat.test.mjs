// The page at / in Chromium, against the server itself.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join as joinPath } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { launch, openPage } from "./chromium.mjs";
import { Nuncio } from "./nuncio.mjs";

let browser;
let nuncio;
let complaints;

before(async () => void (browser = await launch()));
after(() => browser?.close());
beforeEach(async () => {
  complaints = [];
  nuncio = await Nuncio.start();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await nuncio.end();
});

async function signIn(name, { carrier = "websocket", ...options } = {}) {
  const page = await openPage(browser, nuncio.page, complaints, options);
  await page.getByTestId("name-input").fill(name);
  await page.getByTestId(`carrier-${carrier}`).check({ force: true });
  await page.getByTestId("name-submit").click();
  await state(page, "ready");
  return page;
}

const state = (page, name) => page.locator(`[data-testid=connection-state][data-state=${name}]`).waitFor();
const messages = (page) => page.locator("[data-testid=messages]:visible [data-testid=message]");
const message = (page, text) => messages(page).filter({ hasText: text });
const texts = (page) => page.locator("[data-testid=messages]:visible [data-testid=message-text]").allTextContents();
const ticked = (page, text) => page.locator("[data-testid=messages]:visible [data-status=sent]").filter({ hasText: text }).waitFor();
const member = (page, user) => page.locator(`[data-testid=member][data-user=${user}]`);

async function say(page, text) {
  await page.getByTestId("message-input").fill(text);
  await page.getByTestId("message-input").press("Enter");
}

async function join(page, room) {
  await page.getByTestId("room-input").fill(room);
  await page.getByTestId("room-input").press("Enter");
  await page.getByTestId("title").filter({ hasText: room }).waitFor();
}

async function nothingWrong(...pages) {
  for (const page of pages) assert.deepEqual(await page.evaluate(() => window.violations), []);
  assert.deepEqual(complaints, []);
}

/** Where `SCREENSHOTS` names a folder, pictures for the eye. */
async function picture(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: joinPath(folder, `${name}.png`) });
}

test("two tabs chat: each message in both, a tick once it is stored, who types and who is here", async () => {
  const ann = await signIn("ann");
  const bob = await signIn("bob");
  for (const page of [ann, bob]) await join(page, "garden");
  await member(ann, "bob").waitFor();
  await member(bob, "ann").waitFor();

  await bob.getByTestId("message-input").pressSequentially("hel");
  await ann.getByTestId("typing").filter({ hasText: "bob is typing" }).waitFor();
  await picture(ann, "typing");
  await say(bob, "hello ann");
  await ticked(bob, "hello ann");
  await message(ann, "hello ann").waitFor();
  await say(ann, "hello bob");
  await ticked(ann, "hello bob");
  await message(bob, "hello bob").waitFor();

  for (const page of [ann, bob]) assert.deepEqual(await texts(page), ["hello ann", "hello bob"]);
  assert.equal(await ann.getByTestId("typing").textContent(), "");
  await picture(ann, "chat");
  await bob.context().close();
  await member(ann, "bob").waitFor({ state: "detached" });
  await nothingWrong(ann);
});

test("tabs on different carriers chat with each other, also after a restart of the server", async () => {
  const carriers = { ann: "websocket", bob: "socketio", carl: "sse", dora: "poll" };
  const pages = [];
  for (const [name, carrier] of Object.entries(carriers)) pages.push(await signIn(name, { carrier }));
  const [ann, bob] = pages;
  for (const page of pages) await join(page, "garden");
  for (const page of pages) await member(page, "dora").waitFor();
  await bob.getByTestId("message-input").pressSequentially("hel");
  await ann.getByTestId("typing").filter({ hasText: "bob is typing" }).waitFor();
  const said = [];
  const all = async (page, text) => {
    await say(page, text);
    await ticked(page, text);
    said.push(text);
    await Promise.all(pages.map((each) => message(each, text).waitFor()));
  };
  for (const [index, name] of Object.keys(carriers).entries()) await all(pages[index], `hello from ${name}`);
  await picture(bob, "socketio");

  await nuncio.kill();
  await Promise.all(pages.map((page) => state(page, "waiting")));
  await say(bob, "written without a server");
  await nuncio.startAgain();
  await Promise.all(pages.map((page) => state(page, "ready")));
  await ticked(bob, "written without a server");
  said.push("written without a server");
  await Promise.all(pages.map((page) => message(page, said.at(-1)).waitFor()));
  for (const [index, name] of Object.keys(carriers).entries()) await all(pages[index], `still here: ${name}`);

  for (const page of pages) assert.deepEqual(await texts(page), said);
  // Over HTTP the refusal of a session that died with its server is a status, which Chromium writes to the console.
  complaints = complaints.filter((complaint) => !complaint.includes("404"));
  await nothingWrong(...pages);
});

test("a private message is read by its recipient and by nobody else", async () => {
  const ann = await signIn("ann");
  const bob = await signIn("bob");
  const eve = await signIn("eve");
  await member(ann, "bob").getByRole("button").click();
  await say(ann, "psst");
  await ticked(ann, "psst");

  await bob.locator("[data-testid=private-conversation][data-user=ann]").click();
  await message(bob, "psst").waitFor();
  await picture(bob, "private");
  // What is sent later to the room comes after anything that was sent to eve before.
  await ann.locator("[data-testid=room][data-room=lobby]").click();
  await say(ann, "for all");
  await message(eve, "for all").waitFor();
  assert.equal(await eve.locator("[data-testid=private-conversation]").count(), 0);
  assert.doesNotMatch((await eve.locator("body").textContent()) ?? "", /psst/);
  await nothingWrong(ann, bob, eve);
});

test("markup as a name, a room and a message is text, and runs nothing", async () => {
  const attack = (part) => `<img src=x onerror="window.ran='${part}';alert('${part}')">`;
  const ann = await signIn(attack("name"));
  const bob = await signIn("bob");
  for (const page of [ann, bob]) await join(page, attack("room"));
  await ann.getByTestId("message-input").pressSequentially("x");
  await bob.getByTestId("typing").filter({ hasText: attack("name") }).waitFor();
  await say(ann, attack("message"));
  await message(bob, attack("message")).waitFor();
  await bob.getByTestId("member").filter({ hasText: attack("name") }).getByRole("button").click();
  await say(bob, attack("private"));
  await ann.getByTestId("private-conversation").click();
  await message(ann, attack("private")).waitFor();
  await picture(ann, "markup");

  for (const page of [ann, bob]) {
    assert.equal(await page.locator("img").count(), 0);
    assert.equal(await page.evaluate(() => window.ran), undefined);
  }
  assert.equal(await ann.getByTestId("me").textContent(), attack("name"));
  await nothingWrong(ann, bob);
});

test("a policy that a page could break would be noticed here", async () => {
  const page = await openPage(browser, nuncio.page, complaints);
  await page.evaluate(() => {
    const image = document.createElement("div");
    image.innerHTML = '<img src="x" onerror="window.ran=1">';
    document.body.append(image);
  });
  await page.waitForFunction(() => window.violations.length > 0);
  assert.equal(await page.evaluate(() => window.ran), undefined);
});

test("after the server was killed and started again the tabs go on, and lose and repeat nothing", async () => {
  const ann = await signIn("ann");
  const bob = await signIn("bob");
  await say(ann, "before");
  await ticked(ann, "before");
  await message(bob, "before").waitFor();

  await nuncio.kill();
  await Promise.all([state(ann, "waiting"), state(bob, "waiting")]);
  await say(ann, "written without a server");
  await message(ann, "written without a server").and(ann.locator("[data-status=pending]")).waitFor();
  await picture(ann, "disconnected");
  await nuncio.startAgain();

  await Promise.all([state(ann, "ready"), state(bob, "ready")]);
  await ticked(ann, "written without a server");
  await message(bob, "written without a server").waitFor();
  for (const page of [ann, bob]) assert.deepEqual(await texts(page), ["before", "written without a server"]);
  await nothingWrong(ann, bob);
});

test("a tab that was away over a restart of the server sees what it missed, once and in order, behind a divider", async () => {
  const ann = await signIn("ann");
  const bob = await signIn("bob");
  await say(bob, "before");
  await message(ann, "before").waitFor();
  await ann.getByTestId("offline-switch").check();
  await state(ann, "waiting");
  await say(bob, "one");
  await ticked(bob, "one");
  await nuncio.kill();
  await nuncio.startAgain();
  await state(bob, "ready");
  for (const text of ["two", "three"]) {
    await say(bob, text);
    await ticked(bob, text);
  }

  await ann.getByTestId("offline-switch").uncheck();

  await message(ann, "three").waitFor();
  assert.deepEqual(await texts(ann), ["before", "one", "two", "three"]);
  assert.equal(await ann.locator("[data-testid=divider][data-kind=missed]").textContent(), "3 missed messages");
  await picture(ann, "missed");
  await nothingWrong(ann, bob);
});

for (const colorScheme of ["dark", "light"]) {
  test(`on a phone the page fits, and is ${colorScheme} as the system is`, async () => {
    const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2, colorScheme };
    const ann = await signIn("ann", phone);
    const bob = await signIn("bob", { colorScheme });
    await say(bob, "a long line that has to wrap on a phone: ".repeat(4));
    await message(ann, "a long line").waitFor();
    await say(ann, "short");
    await ticked(ann, "short");
    await picture(ann, `phone-${colorScheme}`);
    await picture(bob, `desktop-${colorScheme}`);

    const { wide, brightness } = await ann.evaluate(() => ({
      wide: document.documentElement.scrollWidth - innerWidth,
      brightness: Math.max(...getComputedStyle(document.body).backgroundColor.match(/[\d.]+/g).slice(0, 3).map(Number)),
    }));
    assert.equal(wide, 0);
    assert.equal(brightness < 128 ? "dark" : "light", colorScheme);
    await ann.getByRole("button", { name: "Who is here" }).click();
    await member(ann, "bob").waitFor();
    await picture(ann, `phone-members-${colorScheme}`);
    await ann.keyboard.press("Escape");
    await ann.getByRole("button", { name: "Conversations" }).click();
    await ann.locator("[data-testid=room][data-room=lobby]").waitFor();
    await picture(ann, `phone-rooms-${colorScheme}`);
    await nothingWrong(ann, bob);
  });
}
