// A guide's clients against the server: in Node with the package `ws`, and in a page.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { WebSocket } from "ws";

import { launch, openPage } from "./chromium.mjs";
import { guideClient, ReconnectingWebSocket } from "./guide.mjs";
import { Nuncio } from "./nuncio.mjs";

globalThis.WebSocket = WebSocket;

let nuncio;
let browser;
before(async () => {
  nuncio = await Nuncio.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await nuncio?.end();
});

const inNode = (path) => guideClient(nuncio.url(path));

async function inPage(path) {
  const page = await openPage(browser, nuncio.page, []);
  const ended = await page.evaluate(guideClient, nuncio.url(path));
  await page.close();
  return ended;
}

function isToldWhatIsWrong({ received, code, wasClean }) {
  const [welcome, unknown, unparsed, binary, blob, ...more] = received.map((text) => JSON.parse(text));
  assert.equal(welcome.type, "welcome");
  assert.deepEqual([unknown.type, unknown.code], ["error", "UNKNOWN_TYPE"]);
  assert.match(unknown.message, /hello/);
  assert.deepEqual(unparsed, { type: "error", code: "PARSE_ERROR", message: "Invalid JSON" });
  for (const refused of [binary, blob]) {
    assert.deepEqual([refused.type, refused.code], ["error", "INVALID_MESSAGE"]);
    assert.match(refused.message, /binary frame/);
  }
  assert.deepEqual(more, []);
  assert.deepEqual([code, wasClean], [1000, true]);
}

function isEchoed({ received, code, wasClean }) {
  assert.equal(JSON.parse(received[0]).type, "welcome");
  const pi = [0x40, 0x09, 0x1e, 0xb8, 0x51, 0xeb, 0x85, 0x1f];
  const echoes = ['Server echo: {"type":"hello","payload":"world"}', "Server echo: Hello!", pi, [...Buffer.from("hello")]];
  assert.deepEqual(received.slice(1), echoes);
  assert.deepEqual([code, wasClean], [1000, true]);
}

test("in Node, /ws answers each message and stays open until the client says goodbye", async () => isToldWhatIsWrong(await inNode("/ws")));
test("in a page, /ws answers each message and stays open until the client says goodbye", async () => isToldWhatIsWrong(await inPage("/ws")));
test("in Node, everything comes back from /ws/echo", async () => isEchoed(await inNode("/ws/echo")));
test("in a page, everything comes back from /ws/echo", async () => isEchoed(await inPage("/ws/echo")));

test("the reconnecting client sees 1006 when the server is killed, and is welcomed again", async () => {
  const events = [];
  let settle;
  const welcomedTwice = new Promise((resolve) => (settle = resolve));
  const ws = new ReconnectingWebSocket(nuncio.url("/ws"), {
    onopen: () => events.push("Connected!"),
    onmessage: async (event) => {
      events.push(JSON.parse(event.data).type);
      if (events.length > 2) return settle();
      await nuncio.kill();
      await nuncio.startAgain();
    },
    onclose: (event) => events.push(event.code),
    reconnectInterval: 1000,
    maxRetries: 10,
  });
  await welcomedTwice;
  ws.maxRetries = 0;
  ws.close();
  assert.deepEqual(events.slice(0, 3), ["Connected!", "welcome", 1006]);
  assert.deepEqual(events.slice(-2), ["Connected!", "welcome"]);
});
