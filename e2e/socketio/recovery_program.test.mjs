// Connection state recovery of a Rust program's clients: `e2e/src/bin/recovering.rs` under the official client.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { io } from "socket.io-client";

import { Nuncio } from "../browser/nuncio.mjs";
import { Cable } from "./cable.mjs";
import { ask, away, next, until } from "./patience.mjs";

const open = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});

/** A client on a cable of its own; `heard` is what it was told and asked, in order. */
async function client(program, name, transports = ["websocket"]) {
  const cable = await Cable.to(program.page);
  open.push(cable);
  const options = { transports, auth: { name }, forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 100 };
  const socket = io(cable.page, options);
  open.push(socket);
  const heard = [];
  socket.on("said", (what) => heard.push(what));
  socket.on("asked", (what, answer) => {
    heard.push(what);
    if (typeof what === "number") answer(what);
  });
  await next(socket, "connect");
  return { cable, socket, heard };
}

/** What the handlers saw of a socket, since it came last. */
async function seen({ socket }) {
  const log = await ask(socket, "log");
  return log.filter(({ connected }) => connected === socket.id).at(-1);
}

for (const store of [true, false]) {
  describe(store ? "with a store" : "in memory", () => {
    let program;
    before(async () => {
      program = await Nuncio.start(store ? ["store"] : []);
    });
    after(() => program?.end());

    for (const transports of [["websocket"], ["polling"]]) {
      test(`over ${transports}, handlers find their socket as it was, and it hears what it missed`, async () => {
        const room = `room ${transports}`;
        const ann = await client(program, "ann", transports);
        const bob = await client(program, "bob");
        await ask(ann.socket, "join", room);
        await ask(ann.socket, "keep", { name: "ann", visits: 1 });
        const { id } = ann.socket;
        const before = await ask(bob.socket, "log");

        await away(ann, async () => {
          await ask(bob.socket, "say", "publish", room, 1);
          await ask(bob.socket, "say", "emit", room, 2);
          await ask(bob.socket, "say", "publish", id, 3);
          await ask(bob.socket, "say", "publish", "elsewhere", "not for ann");
          await ask(bob.socket, "say", "publish", room, 4);
        });

        assert.equal(ann.socket.recovered, true);
        assert.equal(ann.socket.id, id);
        await until(() => ann.heard.length === 4);
        assert.deepEqual(ann.heard, [1, 2, 3, 4]);
        assert.deepEqual(await seen(ann), {
          connected: id,
          recovered: true,
          data: { name: "ann", visits: 1 },
          rooms: [room],
        });
        const since = (await ask(bob.socket, "log")).slice(before.length);
        assert.deepEqual(since.filter(({ looked }) => looked), [], "no middleware looks again");
        await ask(ann.socket, "say", "emit", room, 5);
        await until(() => ann.heard.length === 5);
      });
    }

    test("what a middleware kept comes back", async () => {
      const ann = await client(program, "ann");
      assert.deepEqual((await seen(ann)).data, { name: "ann" });
      await away(ann, async () => {});
      const { recovered, data } = await seen(ann);
      assert.deepEqual([recovered, data], [true, { name: "ann" }]);
    });

    test("what one handler says to a client arrives in its order, questions too", async () => {
      const ann = await client(program, "ann");
      const rounds = Array.from({ length: 20 }, (_, round) => round * 10);
      for (const first of rounds) {
        ann.heard.length = 0;
        ann.socket.emit("one after the other", first);
        await until(() => ann.heard.length === 5);
        assert.deepEqual(ann.heard, [first, first + 1, first + 2, first + 3, { answer: first + 1 }]);
      }
    });

    test("a question is asked once: it is not replayed, and who went does not answer it", async () => {
      const ann = await client(program, "ann");
      const bob = await client(program, "bob");
      ann.socket.emit("ask");
      await until(() => ann.heard.length === 1);
      const { id } = ann.socket;
      await away(ann, () => ask(bob.socket, "say", "publish", id, 1));
      assert.equal(ann.socket.recovered, true);
      await until(() => ann.heard.length === 2);
      assert.deepEqual(ann.heard, ["are you there?", 1]);
      await until(async () => (await ask(bob.socket, "log")).some(({ answer }) => answer === "Err(Disconnected)"));
    });

    for (const all of [false, true]) {
      test(`who is sent away (${all ? "connection" : "namespace"}) is looked at again when it comes again`, async () => {
        const ann = await client(program, "ann");
        await ask(ann.socket, "join", "left");
        const { id } = ann.socket;
        const gone = next(ann.socket, "disconnect");
        ann.socket.emit("leave me", all);
        await gone;
        ann.socket.auth = { name: "ann again" };
        ann.socket.connect();
        await next(ann.socket, "connect");
        assert.equal(ann.socket.recovered, false);
        assert.notEqual(ann.socket.id, id);
        const { recovered, data, rooms } = await seen(ann);
        assert.deepEqual([recovered, data, rooms], [false, { name: "ann again" }, []]);
      });
    }

    test(`after a kill and a start ${store ? "handlers find their socket as it was" : "everybody is new"}`, async () => {
      const ann = await client(program, "ann");
      const bob = await client(program, "bob");
      await ask(ann.socket, "join", "killed");
      await ask(ann.socket, "keep", { name: "ann", visits: 2 });
      const { id } = ann.socket;
      await ask(bob.socket, "join", "killed");
      await ask(bob.socket, "say", "publish", "killed", 1);
      await until(() => ann.heard.length === 1);
      ann.cable.cut();
      await next(ann.socket, "disconnect");
      await ask(bob.socket, "say", "emit", "killed", 2);
      await ask(bob.socket, "say", "publish", "killed", 3);
      // What somebody has heard is kept.
      await until(() => bob.heard.length === 3);

      const back = [ann, bob].map(({ socket }) => next(socket, "connect"));
      await program.kill();
      await program.startAgain();
      ann.cable.mend();
      await Promise.all(back);

      assert.deepEqual([ann.socket.recovered, bob.socket.recovered], [store, store]);
      if (!store) return;
      assert.equal(ann.socket.id, id);
      assert.deepEqual(await seen(ann), {
        connected: id,
        recovered: true,
        data: { name: "ann", visits: 2 },
        rooms: ["killed"],
      });
      assert.ok(!(await ask(bob.socket, "log")).some(({ looked }) => looked), "no middleware looks again");
      await ask(bob.socket, "say", "emit", "killed", 4);
      for (const { heard } of [ann, bob]) {
        await until(() => heard.length >= 4);
        assert.deepEqual(heard, [1, 2, 3, 4]);
      }
    });
  });
}
