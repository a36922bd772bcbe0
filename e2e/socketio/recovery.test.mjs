// Connection state recovery as the official client knows it: over cuts, kills and long silence.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { io } from "socket.io-client";
import { WebSocket } from "ws";

import { Nuncio } from "../browser/nuncio.mjs";
import { Cable } from "./cable.mjs";
import { away, ask as emitWithAck, next, until } from "./patience.mjs";

const SETTINGS = ["limits.rate_per_second=0", 'grants.namespaces=["/", "/chat", "/plain"]'];

const open = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});

async function token(nuncio, name) {
  const response = await fetch(`${nuncio.page}demo/token`, { method: "POST", body: JSON.stringify({ name }) });
  return (await response.json()).token;
}

/** A client on a cable of its own; `heard` is what it got, without the offsets. */
async function client(nuncio, name, transports, namespace = "") {
  const cable = await Cable.to(nuncio.page);
  open.push(cable);
  const socket = io(cable.page + namespace, {
    transports,
    auth: { token: await token(nuncio, name) },
    forceNew: true,
    reconnectionDelay: 20,
    reconnectionDelayMax: 100,
  });
  open.push(socket);
  const heard = [];
  socket.on("message:new", (message, offset) => heard.push([message.content, offset]));
  socket.onAny((event, ...args) => {
    if (event === "news") heard.push(args);
  });
  await next(socket, "connect");
  if (transports.length > 1 && socket.io.engine.transport.name === "polling") {
    await next(socket.io.engine, "upgrade");
  }
  assert.ok(!socket.recovered);
  return { cable, socket, heard };
}

async function ask(socket, ...event) {
  const reply = await emitWithAck(socket, ...event);
  assert.equal(reply.status, "ok", JSON.stringify(reply));
  return reply;
}

/** A native client that asks; its answers are awaited. */
async function native(nuncio, name) {
  const socket = new WebSocket(nuncio.url(`/ws?token=${await token(nuncio, name)}`));
  open.push(socket);
  const messages = [];
  const waiting = new Map();
  socket.on("message", (text) => {
    const message = JSON.parse(text);
    messages.push(message);
    waiting.get(message.ack)?.(message);
  });
  await next(socket, "open");
  let id = 0;
  const call = (message) =>
    new Promise((resolve, reject) => {
      id += 1;
      waiting.set(id, (reply) => (reply.error ? reject(new Error(JSON.stringify(reply))) : resolve(reply.data)));
      socket.send(JSON.stringify({ ...message, id }));
    });
  const say = (roomId, content) => call({ type: "chat:message", roomId, content });
  return { socket, messages, call, say };
}

const OFFSET = /^[\w-]{11}\.\d+$/;

for (const store of [true, false]) {
  describe(store ? "with a store" : "in memory", () => {
    let nuncio;
    before(async () => {
      nuncio = await Nuncio.start([...SETTINGS, `store.enabled=${store}`, "socketio.recovery=60s"]);
    });
    after(() => nuncio?.end());

    for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
      describe(`over ${transports.join(", then ")}`, () => {
        test("a client gets what it missed, once and in order, and then goes on", async () => {
          const room = `missed ${transports}`;
          const ann = await client(nuncio, "ann", transports);
          const bob = await native(nuncio, "bob");
          await ask(ann.socket, "room:join", room);
          await bob.call({ type: "room:join", roomId: room });
          const { id } = ann.socket;
          await bob.say(room, 1);
          await until(() => ann.heard.length === 1);

          await away(ann, async () => {
            for (const content of [2, 3, 4]) await bob.say(room, content);
            await bob.say("elsewhere", "not for ann");
            await bob.call({ type: "message:private", to: "bob", content: "not for ann" });
            await bob.call({ type: "event", event: "news", data: ["a", "text"], roomId: room });
          });
          assert.equal(ann.socket.recovered, true);
          assert.equal(ann.socket.id, id);
          await bob.say(room, 5);

          await until(() => ann.heard.some(([content]) => content === 5));
          const said = ann.heard.filter(([content]) => typeof content === "number");
          assert.deepEqual(said.map(([content]) => content), [1, 2, 3, 4, 5]);
          for (const heard of ann.heard) assert.match(heard.at(-1), OFFSET);
          // It is a member still, with what members may do.
          await ask(ann.socket, "message:send", { roomId: room, content: 6 });
          await until(() => ann.heard.some(([content]) => content === 6));
          const isChat = ({ type }) => type === "chat:message";
          await until(() => bob.messages.filter(isChat).length === 6);
          const others = bob.messages.filter(isChat);
          assert.deepEqual(others.map(({ content }) => content), [1, 2, 3, 4, 5, 6]);
          const missed = ann.heard.find(([first]) => first === "a");
          assert.deepEqual(missed.slice(0, -1), ["a", "text"], "an event has its arguments before the offset");
        });

        test("who leaves and comes again at once is a new client", async () => {
          const { socket } = await client(nuncio, "ann", transports);
          for (let round = 0; round < 50; round += 1) {
            const { id } = socket;
            socket.disconnect().connect();
            await next(socket, "connect");
            assert.equal(socket.recovered, false, `round ${round}`);
            assert.notEqual(socket.id, id);
          }
        });

        test("a client that never got an event is recovered too", async () => {
          const room = `silent ${transports}`;
          const ann = await client(nuncio, "ann", transports);
          const bob = await native(nuncio, "bob");
          await ask(ann.socket, "room:join", room);

          await away(ann, () => bob.say(room, "first"));

          assert.equal(ann.socket.recovered, true);
          await until(() => ann.heard.length === 1);
          assert.equal(ann.heard[0][0], "first");
        });
      });
    }

    for (const end of ["kill", "stop"]) {
      test(`after a ${end} and a start ${store ? "everything goes on" : "everybody is new"}`, async () => {
        const room = `a ${end}`;
        const [ann, quiet] = [await client(nuncio, "ann", ["websocket"]), await client(nuncio, "ann", ["polling"])];
        const bob = await native(nuncio, "bob");
        for (const { socket } of [ann, quiet]) await ask(socket, "room:join", room);
        await bob.say(room, 1);
        await until(() => ann.heard.length === 1 && quiet.heard.length === 1);
        const ids = [ann.socket.id, quiet.socket.id];
        quiet.cable.cut();
        await next(quiet.socket, "disconnect");
        await bob.say(room, 2);
        await until(() => ann.heard.length === 2);

        const back = next(quiet.socket, "connect");
        await away(ann, async () => {
          await nuncio[end]();
          await nuncio.startAgain();
          const again = await native(nuncio, "bob");
          await again.say(room, 3);
        });
        quiet.cable.mend();
        await back;

        assert.deepEqual([ann.socket.recovered, quiet.socket.recovered], [store, store]);
        if (!store) return;
        assert.deepEqual([ann.socket.id, quiet.socket.id], ids);
        const last = await native(nuncio, "bob");
        await last.say(room, 4);
        for (const { heard } of [ann, quiet]) {
          await until(() => heard.length >= 4);
          assert.deepEqual(heard.map(([content]) => content), [1, 2, 3, 4]);
        }
      });
    }

    test("a burst that is cut in the middle arrives whole", async () => {
      const ann = await client(nuncio, "ann", ["websocket"]);
      const bob = await native(nuncio, "bob");
      await ask(ann.socket, "room:join", "burst");
      const all = Array.from({ length: 500 }, (_, number) => number);
      const sending = Promise.all(all.map((number) => bob.say("burst", number)));
      for (const count of [20, 200, 400]) {
        await until(() => ann.heard.length >= count || ann.heard.length === all.length);
        await away(ann, async () => {});
        assert.equal(ann.socket.recovered, true);
      }
      await sending;
      await until(() => ann.heard.length >= all.length);
      assert.deepEqual(ann.heard.map(([content]) => content), all);
    });

    test("who leaves, or is told to, is a new client when it comes again", async () => {
      const ann = await client(nuncio, "ann", ["websocket"]);
      const bob = await native(nuncio, "bob");
      await bob.call({ type: "room:join", roomId: "left" });
      await ask(ann.socket, "room:join", "left");
      const { id } = ann.socket;
      ann.socket.disconnect();
      await until(() => bob.messages.some(({ type }) => type === "user:left"));
      ann.socket.connect();
      await next(ann.socket, "connect");
      assert.equal(ann.socket.recovered, false);
      assert.notEqual(ann.socket.id, id);
    });

    test("an offset of somebody else's is no reason to miss anything", async () => {
      const ann = await client(nuncio, "ann", ["websocket"]);
      const bob = await native(nuncio, "bob");
      await ask(ann.socket, "room:join", "foreign");
      await bob.say("foreign", 1);
      await until(() => ann.heard.length === 1);
      ann.socket._lastOffset = "a text of another server's";

      await away(ann, () => bob.say("foreign", 2));

      assert.equal(ann.socket.recovered, true);
      await until(() => ann.heard.length === 3);
      assert.deepEqual(ann.heard.map(([content]) => content), [1, 1, 2], "all since it came");
    });

    test("the session of somebody else is not to be had", async () => {
      const ann = await client(nuncio, "ann", ["websocket"]);
      const eve = await client(nuncio, "eve", ["websocket"]);
      const { id } = ann.socket;
      eve.socket._pid = ann.socket._pid;
      await away(eve, async () => {});
      assert.equal(eve.socket.recovered, false);
      assert.notEqual(eve.socket.id, id);
      assert.equal(ann.socket.connected, true);
    });

    test("the newest connection has the session, the older one is closed", async () => {
      const ann = await client(nuncio, "ann", ["websocket"]);
      const { id } = ann.socket;
      const gone = next(ann.socket, "disconnect");
      ann.socket.io.reconnection(false);
      const again = io(nuncio.page, {
        transports: ["websocket"],
        auth: { token: await token(nuncio, "ann"), pid: ann.socket._pid },
        forceNew: true,
      });
      open.push(again);
      await next(again, "connect");
      assert.equal(again.id, id);
      const [reason] = await gone;
      assert.equal(reason, "transport close");
    });

    test("two namespaces on one connection come back both", async () => {
      const ann = await client(nuncio, "ann", ["websocket"]);
      const bob = await native(nuncio, "bob");
      const chat = ann.socket.io.socket("/chat", { auth: { token: await token(nuncio, "ann") } });
      open.push(chat);
      await next(chat, "connect");
      await ask(ann.socket, "room:join", "both");
      await ask(chat, "room:join", "both");
      const ids = [ann.socket.id, chat.id];
      const back = next(chat, "disconnect").then(() => next(chat, "connect"));

      await away(ann, () => bob.say("both", "main"));
      await back;

      assert.deepEqual([ann.socket.recovered, chat.recovered], [true, true]);
      assert.deepEqual([ann.socket.id, chat.id], ids);
      await until(() => ann.heard.length === 1);
    });
  });
}

test("after its time a client is a new one, and hears nothing twice", async () => {
  const nuncio = await Nuncio.start([...SETTINGS, "socketio.recovery=2s"]);
  try {
    const ann = await client(nuncio, "ann", ["websocket"]);
    const bob = await native(nuncio, "bob");
    await ask(ann.socket, "room:join", "late");
    await bob.say("late", 1);
    await until(() => ann.heard.length === 1);
    const { id } = ann.socket;
    // It is twice as long as the server keeps the session.
    await away(ann, () => new Promise((resolve) => setTimeout(resolve, 4_000)));
    assert.equal(ann.socket.recovered, false);
    assert.notEqual(ann.socket.id, id);
    // The offset that it kept from before says nothing of its new session.
    await ask(ann.socket, "room:join", "late");
    await away(ann, () => bob.say("late", 2));
    assert.equal(ann.socket.recovered, true);
    await until(() => ann.heard.length === 2);
    assert.deepEqual(ann.heard.map(([content]) => content), [1, 2]);
  } finally {
    await nuncio.end();
  }
});

test("a quiet client of a busy server is recovered, long after the log has forgotten its beginning", async () => {
  const quick = ["socketio.ping_interval=300ms", "socketio.ping_timeout=1s", "socketio.recovery=1500ms"];
  const nuncio = await Nuncio.start([...SETTINGS, ...quick]);
  try {
    const ann = await client(nuncio, "ann", ["websocket"]);
    const bob = await native(nuncio, "bob");
    await ask(ann.socket, "room:join", "quiet");
    const end = Date.now() + 4_000;
    while (Date.now() < end) await bob.say("busy", "x".repeat(100));
    await away(ann, () => bob.say("quiet", 1));
    assert.equal(ann.socket.recovered, true);
    await until(() => ann.heard.length === 1);
  } finally {
    await nuncio.end();
  }
});

test("where it is off nobody is given a private id or an offset", async () => {
  const nuncio = await Nuncio.start(SETTINGS);
  try {
    const ann = await client(nuncio, "ann", ["websocket"]);
    await ask(ann.socket, "room:join", "plain");
    await ask(ann.socket, "message:send", { roomId: "plain", content: 1 });
    await until(() => ann.heard.length === 1);
    assert.deepEqual(ann.heard, [[1, undefined]]);
    await away(ann, async () => {});
    assert.ok(!ann.socket.recovered);
  } finally {
    await nuncio.end();
  }
});
