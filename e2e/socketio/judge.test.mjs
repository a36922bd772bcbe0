// What handlers in Rust do with clients of every version, over each transport: `e2e/src/bin/judged.rs`.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, afterEach, before, describe, test } from "node:test";

import { io } from "socket.io-client";
import * as msgpack from "socket.io-msgpack-parser";

import { Nuncio } from "../browser/nuncio.mjs";

const require = createRequire(import.meta.url);
const io2 = require("socket.io-client-2");
const io3 = require("socket.io-client-3");

/** Milliseconds to wait for what must come. */
const PATIENCE = 15_000;

/** How each client says who it is, and hears that it may not come in. */
const CLIENTS = {
  "2.x": { connect: io2, auth: "query", refusal: "error", refused: (error) => error },
  "3.x": { connect: io3, auth: "auth", refusal: "connect_error", refused: ({ data }) => data },
  "4.x": { connect: io, auth: "auth", refusal: "connect_error", refused: ({ data }) => data },
  "4.x with MessagePack": {
    connect: (url, options) => io(url, { ...options, parser: msgpack }),
    auth: "auth",
    refusal: "connect_error",
    refused: ({ data }) => data,
  },
};

let nuncio;
before(async () => {
  nuncio = await Nuncio.start(["limits.rate_per_second=0", "socketio.allow_eio3=true"]);
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

async function client(kind, transports, more = {}) {
  const auth = { token: await token("ann"), ...more };
  const options = { transports, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, [kind.auth]: auth };
  const socket = kind.connect(`${nuncio.page}judge`, options);
  open.push(socket);
  return socket;
}

async function connected(kind, transports) {
  const socket = await client(kind, transports);
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

/** The arguments of an acknowledgement. */
function ask(socket, ...event) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no answer to ${event[0]}`)), PATIENCE);
    socket.emit(...event, (...answer) => {
      clearTimeout(late);
      resolve(answer);
    });
  });
}

const THUMB = Buffer.from([0, 0x1e, 1, 4, 0xff]);
const PIXELS = Buffer.alloc(100_000, "nuncio");

for (const [name, kind] of Object.entries(CLIENTS)) {
  for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
    describe(`${name} over ${transports.join(", then ")}`, () => {
      test("a middleware refuses with data", async () => {
        const [error] = await next(await client(kind, transports, { word: "refuse me" }), kind.refusal);
        assert.deepEqual(kind.refused(error), { retry: false, days: [1, 2] });
      });

      test("acknowledgements of the server carry text and binary data", async () => {
        const ann = await connected(kind, transports);
        const text = { text: "Grüße 🐎", n: [1.5, -1, null] };
        assert.deepEqual(await ask(ann, "echo", text), [text]);

        const [title, thumb, picture] = await ask(ann, "draw", "sea", THUMB, { name: "b", pixels: PIXELS });
        assert.deepEqual([title, picture.name], ["sea", "b"]);
        assert.ok(THUMB.equals(Buffer.from(thumb)) && PIXELS.equals(Buffer.from(picture.pixels)));
      });

      test("acknowledgements of the client carry text and binary data", async () => {
        const ann = await connected(kind, transports);
        ann.on("question", (what, answer) => answer({ answer: what }));
        const answered = next(ann, "answered");
        ann.emit("ask", "how are you?");
        assert.deepEqual(await answered, [{ answer: "how are you?" }]);

        ann.on("picture?", (thumb, answer) => answer("reversed", Buffer.from(thumb).reverse()));
        const pictured = next(ann, "answered");
        ann.emit("ask picture", THUMB);
        const [title, bytes] = await pictured;
        assert.equal(title, "reversed");
        assert.ok(Buffer.from(THUMB).reverse().equals(Buffer.from(bytes)));
      });

      test("binary data reaches everybody in the namespace", async () => {
        const ann = await connected(kind, transports);
        const peer = await connected(CLIENTS["4.x"], ["websocket"]);
        const told = Promise.all([next(ann, "told"), next(peer, "told")]);
        ann.emit("tell", "all", PIXELS);
        for (const [text, bytes] of await told) {
          assert.equal(text, "all");
          assert.ok(PIXELS.equals(Buffer.from(bytes)));
        }
      });

      test("1,000 events of the server arrive in order", async () => {
        const ann = await connected(kind, transports);
        const heard = [];
        ann.on("number", (number) => heard.push(number));
        ann.emit("count", 1000);
        // What is acknowledged afterwards comes after them.
        await ask(ann, "echo", "done");
        assert.deepEqual(heard, Array.from({ length: 1000 }, (_, number) => number));
      });

      test("a client that is sent away stays away, and one whose connection is closed comes back", async () => {
        const ann = await connected(kind, transports);
        const left = next(ann, "disconnect");
        ann.emit("leave");
        assert.equal((await left)[0], "io server disconnect");

        const bob = await connected(kind, transports);
        const lost = next(bob, "disconnect");
        bob.emit("hang up");
        // The reference tells each namespace that it is left before it closes the connection, so nobody comes back by itself.
        assert.equal((await lost)[0], "io server disconnect");
        const again = next(bob, "connect");
        bob.connect();
        await again;
        assert.equal(ann.connected, false);
      });
    });
  }
}
