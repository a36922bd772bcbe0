// An EventSource in Chromium: without a library, it survives the server's death, and misses and repeats nothing.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { WebSocket } from "ws";

import { launch, openPage } from "./chromium.mjs";
import { Nuncio } from "./nuncio.mjs";

let nuncio;
let browser;
before(async () => {
  nuncio = await Nuncio.start(["limits.rate_per_second=0", "streams.retry=100ms", "history.messages=1000"]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await nuncio?.end();
});

async function token(name) {
  const response = await fetch(`${nuncio.page}demo/token`, { method: "POST", body: JSON.stringify({ name }) });
  return (await response.json()).token;
}

/** Publishes so many numbers in two rooms, from `first` on. */
async function publish(first, count) {
  const socket = new WebSocket(nuncio.url(`/ws?token=${await token("bob")}`), "nuncio.v1");
  await new Promise((resolve) => socket.once("open", resolve));
  const acknowledged = new Promise((resolve) => {
    let missing = count;
    socket.on("message", (data) => {
      if (JSON.parse(data).ack && --missing === 0) resolve();
    });
  });
  for (let number = first; number < first + count; number++) {
    const roomId = number % 2 ? "odd" : "even";
    socket.send(JSON.stringify({ type: "chat:message", roomId, content: number, id: number }));
  }
  await acknowledged;
  socket.close();
}

/** Runs in the page: what comes of both rooms. */
const watch = (url) => {
  window.seen = [];
  window.gaps = 0;
  window.source = new EventSource(url);
  window.source.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "chat:message") window.seen.push(message.content);
    if (message.type === "room:position" && !message.recovered) window.gaps++;
  };
};

const sorted = (page) => page.evaluate(() => [...window.seen].sort((a, b) => a - b));
const numbers = (count) => Array.from({ length: count }, (_, index) => index + 1);

test("over a kill and a stop of the server it gets each message of two rooms once", async () => {
  const page = await openPage(browser, nuncio.page, []);
  await page.evaluate(watch, `${nuncio.page}sse?room=even&room=odd&token=${await token("ann")}`);
  await page.waitForFunction(() => window.source.readyState === EventSource.OPEN);
  await publish(1, 50);
  await page.waitForFunction(() => window.seen.length === 50);

  await nuncio.kill();
  await nuncio.startAgain();
  await publish(51, 50);
  await page.waitForFunction(() => window.seen.length >= 100);
  await nuncio.stop();
  await nuncio.startAgain();
  await publish(101, 50);
  await page.waitForFunction(() => window.seen.length >= 150);

  assert.deepEqual(await sorted(page), numbers(150));
  assert.equal(await page.evaluate(() => window.gaps), 0);
});

test("it stops for good when its token is refused", async () => {
  const page = await openPage(browser, nuncio.page, []);
  await page.evaluate(watch, `${nuncio.page}sse?room=even&token=wrong`);
  await page.waitForFunction(() => window.source.readyState === EventSource.CLOSED);
});
