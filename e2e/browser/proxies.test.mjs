// Every transport through a proxy: `PROXY` is its address, `TOKEN_ANN` and `TOKEN_BOB` let in. Run by `e2e/tests/proxies.rs`.
import assert from "node:assert/strict";
import { test } from "node:test";

import { io } from "socket.io-client";
import { WebSocket } from "ws";

const { PROXY, TOKEN_ANN, TOKEN_BOB } = process.env;

/** Milliseconds in which a message must come through: a proxy that buffers holds it for much longer, or for ever. */
const AT_ONCE = 2000;

/** A native client that has joined a room. */
async function bob(room) {
  const socket = new WebSocket(`${PROXY.replace("https", "wss")}/ws?token=${TOKEN_BOB}`, "nuncio.v1");
  const messages = [];
  const waiting = [];
  socket.on("message", (data) => {
    messages.push(JSON.parse(data));
    for (const check of [...waiting]) check();
  });
  const expect = (fits) =>
    new Promise((resolve, reject) => {
      const check = () => {
        const found = messages.find(fits);
        if (!found) return;
        clearTimeout(timer);
        resolve(found);
      };
      const timer = setTimeout(() => reject(new Error(`only ${JSON.stringify(messages)}`)), AT_ONCE);
      waiting.push(check);
      check();
    });
  await expect(({ type }) => type === "auth_ok");
  socket.send(JSON.stringify({ type: "room:join", roomId: room, id: 1 }));
  await expect(({ ack }) => ack === 1);
  return {
    expect,
    say: (content) => socket.send(JSON.stringify({ type: "chat:message", roomId: room, content })),
    close: () => socket.close(),
  };
}

test("WebSocket", async () => {
  const client = await bob("websocket");
  client.say("hello");
  await client.expect(({ content }) => content === "hello");
  client.close();
});

test("server-sent events come at once, one by one", async () => {
  const client = await bob("sse");
  const abort = new AbortController();
  const response = await fetch(`${PROXY}/sse?room=sse&token=${TOKEN_ANN}`, { signal: abort.signal, headers: { "accept-encoding": "gzip" } });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const until = async (wanted) => {
    const late = AbortSignal.timeout(AT_ONCE);
    while (!text.includes(wanted)) {
      const { value } = await Promise.race([
        reader.read(),
        new Promise((_, reject) => late.addEventListener("abort", () => reject(new Error(`${wanted} did not come: ${text}`)))),
      ]);
      text += value;
    }
  };
  await until("room:position");
  for (const content of ["one", "two", "three"]) {
    client.say(content);
    await until(`"content":"${content}"`);
  }
  abort.abort();
  client.close();
});

test("long polling", async () => {
  const client = await bob("poll");
  const open = await fetch(`${PROXY}/poll`, { method: "POST", body: JSON.stringify({ type: "auth", token: TOKEN_ANN }) });
  let { cursor, messages } = await open.json();
  const { resume } = messages.find(({ type }) => type === "auth_ok");
  const headers = { authorization: `Nuncio-Session ${resume}` };
  const poll = async () => {
    const response = await fetch(`${PROXY}/poll?cursor=${cursor}`, { headers });
    ({ cursor, messages } = await response.json());
    return messages;
  };
  const body = JSON.stringify({ n: 1, messages: [{ type: "room:join", roomId: "poll", id: 1 }] });
  assert.deepEqual(await (await fetch(`${PROXY}/send`, { method: "POST", headers, body })).json(), { n: 1 });
  assert.equal((await poll())[0].ack, 1);
  const waiting = poll();
  client.say("hello");
  assert.equal((await waiting)[0].content, "hello");
  client.close();
});

for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  test(`Socket.IO by ${transports.join(" and then ")}`, async () => {
    const client = await bob("socketio");
    const socket = io(PROXY, { auth: { token: TOKEN_ANN }, transports, forceNew: true });
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("connect_error", reject));
    const { engine } = socket.io;
    if (engine.transport.name !== transports.at(-1)) await new Promise((resolve) => engine.once("upgrade", resolve));
    assert.equal(socket.io.engine.transport.name, transports.at(-1));
    await socket.emitWithAck("room:join", "socketio");
    const heard = new Promise((resolve) => socket.once("message:new", resolve));
    client.say("hello");
    assert.equal((await heard).content, "hello");
    socket.close();
    client.close();
  });
}
