// The official client against handlers written in Rust: `e2e/tests/socketio_program.rs`.
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { io } from "socket.io-client";
import { WebSocket } from "ws";

const SERVER = process.env.SERVER_URL;
/** Milliseconds to wait for what must come. */
const PATIENCE = 15_000;

const open = [];
afterEach(() => {
  for (const client of open.splice(0)) client.close();
});

function client(transports, { namespace = "", ...options } = {}) {
  const socket = io(SERVER + namespace, { transports, forceNew: true, reconnection: false, ...options });
  open.push(socket);
  return socket;
}

async function connected(transports, options) {
  const socket = client(transports, options);
  await next(socket, "connect");
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

/** What a socket hears under a name, once whatever was sent before `socket` is asked something has come. */
function hears(socket, name) {
  const heard = [];
  socket.on(name, (...args) => heard.push(args.length === 1 ? args[0] : args));
  return async () => {
    await ask(socket, "add", 1, 1);
    return heard;
  };
}

async function until(isSo) {
  const late = Date.now() + PATIENCE;
  for (;;) {
    const found = await isSo();
    if (found) return found;
    if (Date.now() > late) throw new Error(`waited in vain: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

let rooms = 0;
/** The name of a room that no other test has. */
const room = () => `room-${++rooms}`;

for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
  describe(`over ${transports.join(", then ")}`, () => {
    test("a middleware refuses with a message and data, and the next is not asked", async () => {
      const observer = await connected(transports);
      const before = (await ask(observer, "log")).filter((line) => line === "looked").length;
      const [error] = await next(client(transports, { auth: { banned: true } }), "connect_error");

      assert.equal(error.message, "not today");
      assert.deepEqual(error.data, { retry: false, days: [1, 2] });
      const after = (await ask(observer, "log")).filter((line) => line === "looked").length;
      assert.equal(after, before);
    });

    test("what a middleware is not told as data is undefined", async () => {
      const [error] = await next(client(transports, { namespace: "/guarded" }), "connect_error");
      assert.equal(error.message, "no key");
      assert.equal(error.data, undefined);

      await connected(transports, { namespace: "/guarded", extraHeaders: { "X-Key": "sesame" } });
    });

    test("what is emitted at the connection arrives after it", async () => {
      const socket = client(transports, { auth: { name: "ann" } });
      const seen = [];
      socket.on("connect", () => seen.push("connect"));
      const [id, data] = await next(socket, "welcome");
      assert.deepEqual(seen, ["connect"]);
      assert.equal(id, socket.id);
      assert.deepEqual(data, { name: "ann" });
    });

    test("handlers see the handshake", async () => {
      const socket = await connected(transports, {
        auth: { name: "ann" },
        query: { q: "a b" },
        extraHeaders: { "x-custom": "yes" },
      });
      assert.deepEqual(await ask(socket, "who"), {
        auth: { name: "ann" },
        header: "yes",
        query: "a b",
        address: "127.0.0.1",
        fresh: true,
        identity: false,
        recovered: false,
        isUserId: true,
      });
    });

    test("arguments are typed, one or several, and what does not fit is told in the acknowledgement", async () => {
      const socket = await connected(transports);
      assert.equal(await ask(socket, "add", 1, 2), 3);
      assert.equal(await ask(socket, "add", 1), 101);
      assert.equal(await ask(socket, "add", 1, 2, 3), 3);
      assert.equal(await ask(socket, "typed", { by: "me" }), "me");
      assert.equal(await ask(socket, "unfit", "text"), false);

      const refused = await ask(socket, "typed", { by: 7 });
      assert.equal(refused.status, "error");
      assert.equal(refused.code, "INVALID_MESSAGE");
      assert.match(refused.message, /typed.*expected a string/);
      const events = [];
      socket.onAny((...event) => events.push(event));
      socket.emit("typed", { by: 7 });
      await ask(socket, "add", 1, 1);
      assert.deepEqual(events, [], "nobody asked");
    });

    test("an acknowledgement may have several arguments, and may never come", async () => {
      const socket = await connected(transports);
      const both = await new Promise((resolve) => socket.emit("two answers", (...args) => resolve(args)));
      assert.deepEqual(both, [1, "b"]);
      await assert.rejects(socket.timeout(50).emitWithAck("nothing"), /timed out/);
      await assert.rejects(socket.timeout(50).emitWithAck("nobody listens"), /timed out/);
    });

    test("a handler's error is told without its words, and a panic ends nothing but the handler", async () => {
      const socket = await connected(transports);
      const failed = await ask(socket, "fails");
      assert.equal(failed.code, "INTERNAL");
      assert.doesNotMatch(failed.message, /secret/);
      socket.emit("panics", 0);
      socket.emit("panics", 1);
      assert.equal(await ask(socket, "add", 1, 1), 2);
      await until(async () => (await ask(socket, "add", 2, 2)) === 4);
    });

    test("binary data goes both ways, in its place", async () => {
      const socket = await connected(transports);
      const pixels = Buffer.from([0, 1, 0xff]);
      const [picture, reversed] = await new Promise((resolve) =>
        socket.emit("picture", { name: "a", pixels }, (...args) => resolve(args)),
      );
      assert.deepEqual(picture, { name: "a", pixels });
      assert.deepEqual(reversed, Buffer.from([0xff, 1, 0]));
      assert.deepEqual(await ask(socket, "parts", Buffer.alloc(3), [Buffer.alloc(5)]), [3, 5]);
      assert.equal((await ask(socket, "picture", { name: "a", pixels: "text" })).code, "INVALID_MESSAGE");
    });

    test("the server asks, and is answered with text and binary data", async () => {
      const socket = await connected(transports);
      socket.on("question", (number, bytes, answer) => {
        assert.deepEqual(bytes, Buffer.from([1, 2]));
        answer(number + 1, { name: "b", pixels: Buffer.alloc(4) });
      });
      assert.deepEqual(await ask(socket, "ask me"), { number: 8, bytes: 4 });
    });

    test("a question that is not answered ends by its time, or with the client", async () => {
      const socket = await connected(transports);
      assert.equal(await ask(socket, "ask in vain"), "timeout");

      const other = await connected(transports);
      const id = other.id;
      other.emit("ask and go");
      await next(other, "silence");
      other.disconnect();
      await until(async () => (await ask(socket, "log")).includes(`${id} Err(Disconnected)`));
    });

    test("a question to many names who did not answer", async () => {
      const [ann, bob, carl] = await Promise.all([1, 2, 3].map(() => connected(transports)));
      const here = room();
      for (const socket of [ann, bob, carl]) await ask(socket, "room:join", here);
      ann.on("name?", (please, answer) => answer(`ann, ${please}`));
      bob.on("name?", (_, answer) => answer("bob"));
      const silent = await ask(ann, "ask all", here);
      assert.deepEqual(silent.names.sort(), ["ann, please", "bob"]);
      assert.deepEqual(silent.missing, [carl.id]);

      carl.on("name?", (_, answer) => answer("carl"));
      const all = await ask(ann, "ask all", here);
      assert.deepEqual(all.names.sort(), ["ann, please", "bob", "carl"]);
      assert.equal(all.missing, undefined);
    });

    test("rooms, except, broadcast, volatile and local reach whom they name, each once", async () => {
      const [ann, bob, carl] = await Promise.all([1, 2, 3].map(() => connected(transports)));
      const [one, two] = [room(), room()];
      await ask(ann, "room:join", one);
      await ask(bob, "room:join", one);
      await ask(bob, "room:join", two);
      await ask(carl, "room:join", two);
      const heard = [ann, bob, carl].map((socket) => hears(socket, "said"));
      const wanted = [[], [], []];
      const say = async (by, rooms, except, ...receivers) => {
        const what = `${by} ${rooms}`;
        assert.equal(await ask(ann, "say", { by, rooms, except }, what), true);
        for (const receiver of receivers) wanted[receiver].push(what);
      };

      await say("io.to", [one], [], 0, 1);
      await say("io.to", [one, two], [], 0, 1, 2);
      await say("socket.to", [one], [], 1);
      await say("socket.to", [one, two], [], 1, 2);
      await say("io.except", [one, two], [two], 0);
      await say("io.except", [], [bob.id], 0, 2);
      await say("volatile", [two], [], 1, 2);
      await say("local", [one], [], 0, 1);
      await say("io.to", [carl.id], [], 2);
      await say("io", [], [], 0, 1, 2);
      await say("broadcast", [], [], 1, 2);
      await say("socket.except", [two], []);
      assert.equal(await ask(ann, "say", { by: "io.to", rooms: [""] }, "no name"), false);

      for (const index of [0, 1, 2]) assert.deepEqual(await heard[index](), wanted[index]);
    });

    test("the guide's events are the program's own", async () => {
      const [ann, bob] = await Promise.all([1, 2].map(() => connected(transports)));
      const here = room();
      const everything = [];
      ann.onAny((...event) => everything.push(event));
      await ask(ann, "room:join", here);
      assert.equal(await ask(bob, "room:join", here), true);
      const received = next(bob, "message:new");
      assert.deepEqual(await ask(bob, "message:send", { roomId: here, content: "Hello" }), { status: "ok" });
      assert.deepEqual(await received, ["Hello"]);
      await ask(bob, "room:leave", here);
      await ask(ann, "message:send", { roomId: here, content: "alone" });
      await until(() => everything.length >= 3);

      assert.deepEqual(everything, [
        ["user:joined", { userId: bob.id }],
        ["message:new", "Hello"],
        ["message:new", "alone"],
      ]);
    });

    test("sockets are found, moved and sent away", async () => {
      const admin = await connected(transports, { namespace: "/admin" });
      const [ann, bob] = await Promise.all(["ann", "bob"].map((name) => connected(transports, { auth: { name } })));
      const [one, two, three] = [room(), room(), room()];
      for (const socket of [ann, bob]) await ask(socket, "room:join", one);

      await ask(admin, "move", one, [two, three]);

      assert.deepEqual(await ask(admin, "fetch", one), []);
      const found = await ask(admin, "fetch", two);
      const wanted = [ann, bob].map(({ id }, index) => ({
        id,
        rooms: [two, three].sort(),
        data: { name: ["ann", "bob"][index] },
      }));
      assert.deepEqual(found.sort(byId), wanted.sort(byId));

      const second = ann.io.socket("/game-9");
      open.push(second);
      if (!second.connected) await next(second, "connect");
      const reasons = [ann, bob].map((socket) => next(socket, "disconnect"));
      await ask(admin, "send away", two, false);
      for (const [reason] of await Promise.all(reasons)) assert.equal(reason, "io server disconnect");
      assert.ok(second.connected, "the connection and its other namespace stay");
      assert.deepEqual(await ask(admin, "fetch", two), []);
      await logged(admin, `${wanted.find(({ data }) => data.name === "ann").id} left 0 for server namespace disconnect`);

      const carl = await connected(transports);
      const closed = next(carl.io.engine, "close");
      await ask(carl, "room:join", one);
      await ask(admin, "send away", one, true);
      await closed;
    });

    test("dynamic namespaces are served, and others do not exist", async () => {
      const [red, blue] = await Promise.all(["/game-1", "/game-2"].map((namespace) => client(transports, { namespace })));
      assert.deepEqual(await Promise.all([red, blue].map((socket) => next(socket, "game"))), [["/game-1"], ["/game-2"]]);
      const other = await connected(transports, { namespace: "/game-1" });
      const played = next(other, "played");
      const wrong = [];
      blue.on("played", (card) => wrong.push(card));
      red.emit("play", "ace");
      assert.deepEqual(await played, ["ace"]);
      assert.deepEqual(wrong, []);

      const [error] = await next(client(transports, { namespace: "/game-x" }), "connect_error");
      assert.equal(error.message, "Invalid namespace");
    });

    test("disconnections have the reference's reasons, and rooms until the last moment", async () => {
      const observer = await connected(transports);
      const leaver = await connected(transports);
      const [id, here] = [leaver.id, room()];
      await ask(leaver, "room:join", here);
      leaver.disconnect();
      await logged(observer, `${id} leaves ${here} for client namespace disconnect`);
      await logged(observer, `${id} left 0 for client namespace disconnect`);

      const closer = await connected(transports);
      const closing = closer.id;
      closer.io.engine.close();
      await logged(observer, `${closing} left 0 for transport close`);
    });

    test("handlers start in the order of their events", async () => {
      const socket = await connected(transports);
      const before = (await ask(socket, "log")).length;
      const steps = Array.from({ length: 200 }, (_, n) => n);
      const acks = await Promise.all(steps.map((n) => ask(socket, "step", n)));
      assert.deepEqual(acks, steps);
      const log = (await ask(socket, "log")).slice(before).filter((line) => line.startsWith("start"));
      assert.deepEqual(log, steps.map((n) => `start ${n}`));
    });

    test("handlers for once, for any and for none any more", async () => {
      const socket = await connected(transports);
      socket.emit("once");
      socket.emit("once");
      socket.emit("any thing");
      assert.equal(await ask(socket, "gone"), true);
      assert.equal(await ask(socket, "off"), true);
      await assert.rejects(socket.timeout(50).emitWithAck("gone"), /timed out/);
      const log = await ask(socket, "log");
      assert.equal(log.filter((line) => line === `once ${socket.id}`).length, 1);
      assert.ok(log.includes(`${socket.id} any thing`));
      assert.match(await ask(socket, "reserved"), /"disconnect".*choose another name/);
    });
  });
}

test("who stops answering pings is gone for that reason", async () => {
  const observer = await connected(["websocket"]);
  const silent = new WebSocket(`${SERVER.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
  silent.on("open", () => silent.send("40"));
  const id = await until(() => new Promise((resolve) => silent.once("message", (text) => resolve(/^40.*"sid":"([^"]+)/.exec(text)?.[1]))));
  await logged(observer, `${id} left 0 for ping timeout`);
  silent.terminate();
});

test("a native client is in the same rooms and meets the same handlers", async () => {
  const ann = await connected(["websocket"]);
  const admin = await connected(["websocket"], { namespace: "/admin" });
  const here = `open:${room()}`;
  await ask(ann, "room:join", here);
  const native = new WebSocket(`${SERVER.replace("http", "ws")}/ws`);
  open.push(native);
  const messages = [];
  native.on("message", (text) => messages.push(JSON.parse(text)));
  const reply = async (id) => until(() => messages.find(({ ack }) => ack === id));
  const said = (name) => until(() => messages.find(({ event }) => event === name));
  await next(native, "open");
  assert.ok(await said("welcome"), "handlers greet it too");

  // By the program's handler.
  native.send(JSON.stringify({ id: 1, event: "event", data: { event: "room:join", data: here } }));
  assert.deepEqual(await reply(1), { ack: 1, data: true });
  native.send(JSON.stringify({ type: "event", event: "add", data: [2, 3], id: 2 }));
  assert.deepEqual(await reply(2), { ack: 2, data: 5 });
  native.send(JSON.stringify({ type: "event", event: "nothing", id: 3 }));
  assert.deepEqual(await reply(3), { ack: 3, data: null });
  native.send(JSON.stringify({ type: "event", event: "nobody listens", id: 4 }));
  assert.equal((await reply(4)).error.code, "UNKNOWN_TYPE");
  native.send(JSON.stringify({ type: "event", event: "add", data: "text", id: 5 }));
  assert.equal((await reply(5)).error.code, "INVALID_MESSAGE");

  // In the same room: a publication with its number, and an emit without.
  await ask(ann, "message:send", { roomId: here, content: "Hello" });
  const published = await said("message:new");
  assert.deepEqual([published.data, published.roomId, typeof published.seq], ["Hello", here, "number"]);
  await ask(ann, "say", { by: "socket.to", rooms: [here] }, "psst");
  assert.equal((await said("said")).seq, undefined);

  // The server asks both.
  ann.on("name?", (_, answer) => answer("ann"));
  native.on("message", (text) => {
    const { event, ackId } = JSON.parse(text);
    if (event === "name?") native.send(JSON.stringify({ ack: ackId, data: "native" }));
  });
  assert.deepEqual((await ask(admin, "ask all", here)).sort(), ["ann", "native"]);

  // Its own vocabulary, by its grants.
  const heard = next(ann, "message:new");
  native.send(JSON.stringify({ type: "chat:message", roomId: here, content: "by grant", id: 6 }));
  assert.equal((await reply(6)).data.status, "ok");
  assert.equal((await heard)[0].content, "by grant");
  native.send(JSON.stringify({ type: "room:join", roomId: "closed", id: 7 }));
  assert.equal((await reply(7)).error.code, "FORBIDDEN");

  const closed = next(native, "close");
  await ask(admin, "send away", here, false);
  assert.equal((await closed)[0], 1000);
});

const byId = (one, other) => (one.id < other.id ? -1 : 1);

/** Waits until the program's log has a line. */
async function logged(socket, line) {
  const asked = socket.nsp === "/" ? socket : await connected(["websocket"]);
  await until(async () => (await ask(asked, "log")).includes(line));
}
