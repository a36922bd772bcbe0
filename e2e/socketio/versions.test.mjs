// Clients of other versions and with another parser, over each transport, in the same rooms as the newest client.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { after, afterEach, before, describe, test } from "node:test";

import { io } from "socket.io-client";
import * as msgpack from "socket.io-msgpack-parser";

import { Nuncio } from "../browser/nuncio.mjs";

const require = createRequire(import.meta.url);
const io2 = require("socket.io-client-2");
const io3 = require("socket.io-client-3");
const msgpack2 = require("socket.io-msgpack-parser-2");

/** Milliseconds to wait for what must come. */
const PATIENCE = 15_000;
const SECRET = "a secret of at least thirty-two bytes";
const GRANTS = '[{ rooms = "*", allow = ["join", "publish", "presence", "history", "typing"] }]';

let nuncio;
before(async () => {
  nuncio = await start();
});
after(() => nuncio?.end());

function start(...more) {
  return Nuncio.start([
    `auth.secrets=["${SECRET}"]`,
    `grants.rooms=${GRANTS}`,
    'grants.private=["*"]',
    'grants.namespaces=["/", "/chat"]',
    "limits.rate_per_second=0",
    "socketio.allow_eio3=true",
    "socketio.deflate=true",
    ...more,
  ]);
}

const open = [];
afterEach(() => {
  for (const client of open.splice(0)) client.close();
});

/** How each client is told a token, and told apart. */
const CLIENTS = {
  "2.x": {
    connect: (url, token, options) => io2(url, { ...options, query: { token } }),
    second: (socket, token) => socket.io.socket("/chat", { query: { token } }),
    refusal: "error",
    dataOf: (error) => error,
  },
  "3.x": {
    connect: (url, token, options) => io3(url, { ...options, auth: { token } }),
    second: (socket, token) => socket.io.socket("/chat", { auth: { token } }),
    refusal: "connect_error",
    dataOf: (error) => error.data,
  },
  "4.x with MessagePack": {
    connect: (url, token, options) => io(url, { ...options, auth: { token }, parser: msgpack }),
    second: (socket, token) => socket.io.socket("/chat", { auth: { token } }),
    refusal: "connect_error",
    dataOf: (error) => error.data,
  },
  "4.x with compression": {
    connect: (url, token, options) => io(url, { ...options, auth: { token }, perMessageDeflate: { threshold: 0 } }),
    second: (socket, token) => socket.io.socket("/chat", { auth: { token } }),
    refusal: "connect_error",
    dataOf: (error) => error.data,
  },
};
const NEWEST = { connect: (url, token, options) => io(url, { ...options, auth: { token } }) };

function token(user, seconds = 3600) {
  const part = (object) => Buffer.from(JSON.stringify(object)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, exp })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

function client(kind, transports, secret) {
  const socket = kind.connect(nuncio.page, secret, {
    transports,
    forceNew: true,
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
  });
  open.push(socket);
  return socket;
}

async function connected(kind, transports, user, seconds) {
  const socket = client(kind, transports, token(user, seconds));
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

/** The acknowledgement of an event, by a callback: older clients know no other. */
function ask(socket, ...event) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no answer to ${event[0]}`)), PATIENCE);
    socket.emit(...event, (answer) => {
      clearTimeout(late);
      resolve(answer);
    });
  });
}

async function joined(socket, ...rooms) {
  for (const room of rooms) assert.equal((await ask(socket, "room:join", room)).status, "ok");
}

async function until(isSo) {
  const late = Date.now() + PATIENCE;
  while (!isSo()) {
    if (Date.now() > late) throw new Error(`waited in vain: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

for (const [name, kind] of Object.entries(CLIENTS)) {
  for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
    describe(`${name} over ${transports.join(", then ")}`, () => {
      const room = `${name} ${transports}`.replaceAll(/[^\w]/g, "-");

      test("a wrong token is refused with data", async () => {
        const [error] = await next(client(kind, transports, "wrong"), kind.refusal);
        assert.deepEqual(kind.dataOf(error), { code: "NOT_AUTHENTICATED", message: "Invalid token" });
      });

      test("messages, private ones and typing go to and from the newest client", async () => {
        const old = await connected(kind, transports, "old");
        const peer = await connected(NEWEST, ["websocket"], "peer");
        await joined(old, room);
        await joined(peer, room);

        const heard = Promise.all([next(old, "message:new"), next(peer, "message:new")]);
        const ack = await ask(old, "message:send", { roomId: room, content: { text: "Grüße 🐎", n: [1.5, -1, null] } });
        assert.equal(ack.status, "ok", JSON.stringify(ack));
        for (const [message] of await heard) {
          assert.deepEqual([message.id, message.seq], [ack.id, ack.seq]);
          assert.deepEqual(message.content, { text: "Grüße 🐎", n: [1.5, -1, null] });
        }

        const typed = next(old, "user:typing");
        peer.emit("typing:start", room);
        assert.deepEqual(await typed, [{ roomId: room, userId: "peer", typing: true }]);

        const whispered = next(peer, "message:private");
        assert.deepEqual(await ask(old, "message:private", { to: "peer", content: "psst" }), { status: "ok", sessions: 1 });
        const [whisper] = await whispered;
        assert.deepEqual([whisper.fromUser, whisper.content], ["old", "psst"]);
        const answered = next(old, "message:private");
        peer.emit("message:private", { to: whisper.from, content: "yes?" });
        assert.equal((await answered)[0].content, "yes?");
      });

      test("binary data goes both ways as it was", async () => {
        const old = await connected(kind, transports, "old");
        const peer = await connected(NEWEST, ["websocket"], "peer");
        await joined(old, room);
        await joined(peer, room);
        const bytes = Buffer.from([0, 0x1e, 1, 4, 0xff]);
        const large = Buffer.alloc(100_000, "nuncio");

        for (const sender of [old, peer]) {
          const drawn = Promise.all([next(old, "draw"), next(peer, "draw")]);
          const ack = await ask(sender, "event", { roomId: room, event: "draw", data: [{ x: bytes }, large, "end"] });
          assert.equal(ack.status, "ok", JSON.stringify(ack));
          for (const [{ x }, second, end] of await drawn) {
            assert.ok(Buffer.from(x).equals(bytes));
            assert.ok(Buffer.from(second).equals(large));
            assert.equal(end, "end");
          }
        }
      });

      test("a second namespace shares the connection and no rooms", async () => {
        const old = await connected(kind, transports, "old");
        const chat = kind.second(old, token("old"));
        open.push(chat);
        await next(chat, "connect");
        await joined(old, room);
        await joined(chat, room);
        const heard = [];
        old.on("message:new", ({ content }) => heard.push(content));

        const received = next(chat, "message:new");
        await ask(chat, "message:send", { roomId: room, content: "in /chat" });
        await received;
        chat.close();
        await ask(old, "message:send", { roomId: room, content: "in /" });
        await until(() => heard.length > 0);

        assert.deepEqual(heard, ["in /"]);
      });

      test("1,000 messages arrive in order", async () => {
        const old = await connected(kind, transports, "old");
        const peer = await connected(NEWEST, ["websocket"], "peer");
        const burst = `${room}-burst`;
        await joined(old, burst);
        await joined(peer, burst);
        const [mine, theirs] = [[], []];
        old.on("message:new", ({ seq, content }) => mine.push(`${seq} ${content}`));
        peer.on("message:new", ({ seq, content }) => theirs.push(`${seq} ${content}`));

        for (let n = 1; n <= 1000; n++) old.emit("message:send", { roomId: burst, content: n });
        await until(() => mine.length === 1000 && theirs.length === 1000);

        assert.deepEqual(mine, Array.from({ length: 1000 }, (_, n) => `${n + 1} ${n + 1}`));
        assert.deepEqual(theirs, mine);
      });

      test("a large message goes both ways", async () => {
        const old = await connected(kind, transports, "old");
        await joined(old, room);
        // 900 KB; but polls carry MessagePack as base64, of which at most 1,000,000 bytes are accepted.
        const isBase64 = name.includes("MessagePack") && transports.join() === "polling";
        const content = "é".repeat(isBase64 ? 350_000 : 450_000);

        const received = next(old, "message:new");
        const ack = await ask(old, "message:send", { roomId: room, content });

        assert.equal(ack.status, "ok", JSON.stringify(ack));
        assert.equal((await received)[0].content, content);
      });

      test("the server ends a place whose token ends", async () => {
        const old = await connected(kind, transports, "old", 2);
        const [reason] = await next(old, "disconnect");
        assert.equal(reason, "io server disconnect");
      });

      test("the client comes back by itself after a kill and after a graceful shutdown", async () => {
        const old = await connected(kind, transports, "old");
        for (const end of ["kill", "stop"]) {
          const lost = next(old, "disconnect");
          await nuncio[end]();
          assert.match((await lost)[0], /^transport (close|error)$/, end);

          const again = next(old, "connect");
          await nuncio.startAgain();
          await again;
          await joined(old, room);
        }
      });
    });
  }
}

describe("2.x with MessagePack, where the endpoint is told", () => {
  let server;
  before(async () => {
    server = await start("socketio.parser=msgpack");
  });
  after(() => server?.end());

  for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
    test(`over ${transports.join(", then ")}`, async () => {
      const secret = token("old");
      const old = io2(server.page, { transports, forceNew: true, query: { token: secret }, parser: msgpack2 });
      open.push(old);
      await next(old, "connect");
      const chat = old.io.socket("/chat", { query: { token: secret } });
      await next(chat, "connect");
      await joined(old, "lobby");
      await joined(chat, "lobby");

      const bytes = Buffer.from([0, 0x1e, 0xff]);
      const drawn = next(old, "draw");
      await ask(old, "event", { roomId: "lobby", event: "draw", data: [{ x: bytes }, "end"] });
      const [{ x }, end] = await drawn;
      assert.ok(Buffer.from(x).equals(bytes));
      assert.equal(end, "end");

      chat.close();
      assert.equal((await ask(old, "room:leave", "lobby")).status, "ok");
    });
  }
});
