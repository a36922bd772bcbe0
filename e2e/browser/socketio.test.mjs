// The official client's bundle in Chromium, over each of its transports, and a native client in the same room.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { WebSocket } from "ws";

import { launch, openPage } from "./chromium.mjs";
import { Nuncio } from "./nuncio.mjs";

const bundle = fileURLToPath(new URL("node_modules/socket.io-client/dist/socket.io.min.js", import.meta.url));
const MESSAGES = 200;

let browser;
let nuncio;
before(async () => {
  browser = await launch();
  nuncio = await Nuncio.start(["limits.rate_per_second=0"]);
});
after(async () => {
  await browser?.close();
  await nuncio?.end();
});

async function token(name) {
  const response = await fetch(`${nuncio.page}demo/token`, { method: "POST", body: JSON.stringify({ name }) });
  return (await response.json()).token;
}

async function native(name, room) {
  const socket = new WebSocket(nuncio.url(`/ws?token=${await token(name)}`));
  const heard = [];
  const joined = new Promise((resolve) => {
    socket.on("message", (text) => {
      const message = JSON.parse(text);
      if (message.ack === "join") resolve();
      if (message.type === "chat:message") heard.push([message.seq, message.userId, message.content]);
    });
  });
  socket.on("open", () => socket.send(JSON.stringify({ type: "room:join", roomId: room, id: "join" })));
  await joined;
  return { socket, heard };
}

for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  test(`over ${transports.join(", then ")} the official client and a native one see the same messages in the same order`, async () => {
    const room = transports.join("-");
    const ann = await native("ann", room);
    const complaints = [];
    const page = await openPage(browser, nuncio.page, complaints, { bypassCSP: true });
    await page.addScriptTag({ path: bundle });

    const enter = async ({ token, room, transports }) => {
      window.socket = io({ auth: { token }, transports });
      window.heard = [];
      socket.on("message:new", ({ seq, userId, content }) => heard.push([seq, userId, content]));
      await socket.timeout(10_000).emitWithAck("room:join", room);
    };
    const talk = async ({ room, messages }) => {
      for (let n = 0; n < messages; n++) {
        socket.emit("message:send", { roomId: room, content: `bob ${n}` });
        if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      while (heard.length < 2 * messages) await new Promise((resolve) => setTimeout(resolve, 10));
      return { heard, transport: socket.io.engine.transport.name };
    };
    await page.evaluate(enter, { token: await token("bob"), room, transports });
    const bob = page.evaluate(talk, { room, messages: MESSAGES });
    for (let n = 0; n < MESSAGES; n++) {
      ann.socket.send(JSON.stringify({ type: "chat:message", roomId: room, content: `ann ${n}` }));
      if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const { heard, transport } = await bob;

    assert.equal(transport, transports.at(-1));
    while (ann.heard.length < 2 * MESSAGES) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(heard, ann.heard);
    assert.deepEqual(heard.filter(([, user]) => user === "bob").map(([, , content]) => content), Array.from({ length: MESSAGES }, (_, n) => `bob ${n}`));
    assert.deepEqual(complaints, []);
    ann.socket.close();
    await page.context().close();
  });
}
