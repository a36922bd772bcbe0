// The official client over each of its transports, and native clients in the same rooms.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { io } from "socket.io-client";
import { WebSocket } from "ws";

import { Nuncio } from "../browser/nuncio.mjs";

/** Milliseconds to wait for what must come. */
const PATIENCE = 15_000;

let nuncio;
before(async () => {
  nuncio = await Nuncio.start(["limits.rate_per_second=0", 'grants.namespaces=["/", "/chat"]']);
});
after(() => nuncio?.end());

const open = [];
afterEach(() => {
  for (const client of open.splice(0)) client.close();
});

async function token(name) {
  const response = await fetch(`${nuncio.page}demo/token`, { method: "POST", body: JSON.stringify({ name }) });
  return (await response.json()).token;
}

function client(transports, auth, options = {}) {
  const socket = io(nuncio.page + (options.namespace ?? ""), {
    transports,
    auth,
    forceNew: true,
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
    ...options,
  });
  open.push(socket);
  return socket;
}

async function connected(transports, name, options) {
  const socket = client(transports, { token: await token(name) }, options);
  await next(socket, "connect");
  if (transports.length > 1 && socket.io.engine.transport.name === "polling") {
    await next(socket.io.engine, "upgrade");
  }
  return socket;
}

/** The arguments of the next event of this name. */
function next(emitter, name) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${name} came`)), PATIENCE);
    emitter.once(name, (...args) => {
      clearTimeout(late);
      resolve(args);
    });
  });
}

function ask(socket, ...event) {
  return socket.timeout(PATIENCE).emitWithAck(...event);
}

async function joined(socket, room) {
  const reply = await ask(socket, "room:join", room);
  assert.equal(reply.status, "ok", JSON.stringify(reply));
  return reply;
}

/** A native client: what it gets is in `messages`. */
async function native(name, room) {
  const socket = new WebSocket(nuncio.url(`/ws?token=${await token(name)}`));
  const messages = [];
  socket.on("message", (text) => messages.push(JSON.parse(text)));
  open.push(socket);
  await next(socket, "open");
  socket.send(JSON.stringify({ type: "room:join", roomId: room, id: 1 }));
  await until(() => messages.some(({ ack }) => ack === 1));
  return { socket, messages };
}

async function until(isSo) {
  const late = Date.now() + PATIENCE;
  while (!isSo()) {
    if (Date.now() > late) throw new Error(`waited in vain: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
  describe(`over ${transports.join(", then ")}`, () => {
    test("a wrong token is refused with data, and none at all too", async () => {
      const [wrong] = await next(client(transports, { token: "wrong" }), "connect_error");
      assert.equal(wrong.message, "Authentication failed");
      assert.deepEqual(wrong.data, { code: "NOT_AUTHENTICATED", message: "Invalid token" });

      const [missing] = await next(client(transports, undefined), "connect_error");
      assert.deepEqual(missing.data, { code: "NOT_AUTHENTICATED", message: "Missing token" });
    });

    test("the token may be in the query", async () => {
      const socket = client(transports, undefined, { query: { token: await token("ann") } });
      await next(socket, "connect");
      assert.match(socket.id, /^[\w-]{20}$/);
    });

    test("a message is acknowledged and reaches the room", async () => {
      const ann = await connected(transports, "ann");
      const bob = await connected(transports, "bob");
      await joined(ann, "lobby");
      const arrival = next(ann, "user:joined");
      await joined(bob, "lobby");
      assert.deepEqual(await arrival, [{ roomId: "lobby", userId: "bob" }]);

      const received = Promise.all([next(ann, "message:new"), next(bob, "message:new")]);
      const ack = await ask(ann, "message:send", { roomId: "lobby", content: { text: "Hello" } });

      assert.equal(ack.status, "ok");
      for (const [message] of await received) {
        const { id, seq, roomId, userId, content, ts } = message;
        assert.deepEqual([id, seq, ts], [ack.id, ack.seq, ack.ts]);
        assert.deepEqual([roomId, userId, content], ["lobby", "ann", { text: "Hello" }]);
      }
    });

    test("what is wrong is told in the acknowledgement, or as an event", async () => {
      const ann = await connected(transports, "ann");

      const ack = await ask(ann, "message:send", { content: "nowhere" });
      assert.equal(ack.status, "error");
      assert.equal(ack.code, "INVALID_MESSAGE");
      assert.match(ack.message, /roomId/);

      ann.emit("typing:start", 7);
      const [error] = await next(ann, "error");
      assert.equal(error.code, "INVALID_MESSAGE");
    });

    test("private messages, typing and presence", async () => {
      const ann = await connected(transports, "ann");
      const bob = await connected(transports, "bob");
      await joined(ann, "desk");
      await joined(bob, "desk");

      const whispered = next(bob, "message:private");
      assert.deepEqual(await ask(ann, "message:private", { to: "bob", content: "psst" }), { status: "ok", sessions: 1 });
      const [whisper] = await whispered;
      assert.deepEqual([whisper.from, whisper.fromUser, whisper.content], [ann.id, "ann", "psst"]);

      const answered = next(ann, "message:private");
      bob.emit("message:private", { to: whisper.from, content: "yes?" });
      assert.equal((await answered)[0].content, "yes?");

      const typed = next(bob, "user:typing");
      ann.emit("typing:start", "desk");
      assert.deepEqual(await typed, [{ roomId: "desk", userId: "ann", typing: true }]);

      const { users } = await ask(ann, "presence:get", "desk");
      assert.deepEqual(users.map(({ userId }) => userId), ["ann", "bob"]);
    });

    test("events with binary arguments reach the room as they were", async () => {
      const ann = await connected(transports, "ann");
      const bob = await connected(transports, "bob");
      await joined(ann, "board");
      await joined(bob, "board");

      const bytes = Buffer.from([0, 0x1e, 1, 0xff]);
      const drawn = next(bob, "draw");
      await ask(ann, "event", { roomId: "board", event: "draw", data: [{ x: 1 }, bytes, "end"] });

      assert.deepEqual(await drawn, [{ x: 1 }, bytes, "end"]);
    });

    test("a second namespace shares the connection and no rooms", async () => {
      const ann = await connected(transports, "ann");
      const chat = ann.io.socket("/chat", { auth: { token: await token("ann") } });
      open.push(chat);
      await next(chat, "connect");
      assert.notEqual(chat.id, ann.id);
      await joined(ann, "same");
      await joined(chat, "same");

      const heard = [];
      ann.on("message:new", (message) => heard.push(message.content));
      const received = next(chat, "message:new");
      await ask(chat, "message:send", { roomId: "same", content: "in /chat" });
      await received;
      chat.disconnect();
      await ask(ann, "message:send", { roomId: "same", content: "in /" });
      await until(() => heard.length > 0);

      assert.deepEqual(heard, ["in /"]);
    });

    test("a namespace that no grant names is refused", async () => {
      const socket = client(transports, { token: await token("ann") }, { namespace: "secret" });
      const [error] = await next(socket, "connect_error");
      assert.equal(error.data.code, "FORBIDDEN");
    });

    test("1,000 messages arrive in order, at a native client and at an official one", async () => {
      const ann = await connected(transports, "ann");
      const bob = await connected(transports, "bob");
      const room = `burst-${transports}`;
      await joined(ann, room);
      await joined(bob, room);
      const carl = await native("carl", room);
      const heard = [];
      bob.on("message:new", ({ seq, content }) => heard.push(`${seq} ${content}`));

      for (let n = 1; n <= 1000; n++) ann.emit("message:send", { roomId: room, content: n });
      await until(() => heard.length === 1000);
      const chat = () => carl.messages.filter(({ type }) => type === "chat:message");
      await until(() => chat().length === 1000);

      assert.deepEqual(heard, Array.from({ length: 1000 }, (_, n) => `${n + 1} ${n + 1}`));
      assert.deepEqual(chat().map(({ seq, content }) => `${seq} ${content}`), heard);
    });

    test("native and official clients that talk at once see one order", async () => {
      const ann = await connected(transports, "ann");
      const room = `both-${transports}`;
      await joined(ann, room);
      const bob = await native("bob", room);
      const heard = [];
      ann.on("message:new", ({ seq, content }) => heard.push([seq, content]));

      for (let n = 0; n < 100; n++) {
        ann.emit("message:send", { roomId: room, content: `ann ${n}` });
        bob.socket.send(JSON.stringify({ type: "chat:message", roomId: room, content: `bob ${n}` }));
      }
      const chat = () => bob.messages.filter(({ type }) => type === "chat:message");
      await until(() => heard.length === 200 && chat().length === 200);

      assert.deepEqual(chat().map(({ seq, content }) => [seq, content]), heard);
    });

    test("a message of 900 KB goes both ways", async () => {
      const ann = await connected(transports, "ann");
      await joined(ann, "large");
      const content = "é".repeat(450_000);

      const received = next(ann, "message:new");
      const ack = await ask(ann, "message:send", { roomId: "large", content });

      assert.equal(ack.status, "ok", JSON.stringify(ack));
      assert.equal((await received)[0].content, content);
    });

    test("the client comes back by itself after a kill and after a graceful shutdown", async () => {
      const ann = await connected(transports, "ann");
      for (const end of ["kill", "stop"]) {
        const reasons = [];
        ann.on("disconnect", (reason) => reasons.push(reason));
        await nuncio[end]();
        await until(() => reasons.length > 0);
        assert.match(reasons[0], /^transport (close|error)$/, end);
        ann.off("disconnect");

        const again = next(ann, "connect");
        await nuncio.startAgain();
        await again;
        await joined(ann, "after");
      }
    });
  });
}

test("no message is lost or overtaken while 40 clients upgrade under traffic", async () => {
  const upgraded = await Promise.all(
    Array.from({ length: 40 }, async (_, number) => {
      const socket = client(["polling", "websocket"], { token: await token(`up-${number}`) });
      let isUpgraded = false;
      socket.io.on("open", () => socket.io.engine.once("upgrade", () => (isUpgraded = true)));
      await next(socket, "connect");
      const room = `up-${number}`;
      const heard = [];
      const acked = [];
      socket.on("message:new", ({ content }) => heard.push(content));
      socket.emit("room:join", room);
      // From the polls, over the probe, into the WebSocket, in both directions.
      let sent = 0;
      for (let after = 0; after < 20; after += isUpgraded ? 1 : 0) {
        const content = sent++;
        socket.emit("message:send", { roomId: room, content }, ({ status }) => acked.push([content, status]));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await until(() => heard.length >= sent && acked.length >= sent);
      const wanted = Array.from({ length: sent }, (_, content) => content);
      assert.deepEqual(heard, wanted);
      assert.deepEqual(acked, wanted.map((content) => [content, "ok"]));
      return socket.io.engine.transport.name;
    }),
  );

  assert.ok(upgraded.every((name) => name === "websocket"));
});
