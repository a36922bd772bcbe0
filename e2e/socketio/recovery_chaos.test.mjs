// Many official clients over cables that break at random, and a server that is killed: nobody who is recovered misses anything, or hears it twice.
import assert from "node:assert/strict";
import { test } from "node:test";

import { io } from "socket.io-client";

import { Nuncio } from "../browser/nuncio.mjs";
import { Cable } from "./cable.mjs";
import { PATIENCE, next, until } from "./patience.mjs";

const CLIENTS = 50;
const ROOMS = Array.from({ length: 8 }, (_, number) => `room ${number}`);
const KILLS = 3;
/** Messages that are acknowledged before each kill, and after the last, and cables that are cut meanwhile. */
const PHASE = { messages: 250, cuts: 40 };
const TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]];
const SETTINGS = [
  "store.enabled=true",
  "socketio.recovery=60s",
  "socketio.ping_interval=2s",
  "socketio.ping_timeout=2s",
  "limits.rate_per_second=0",
  "history.messages=100000",
];

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

/** Numbers from 0 to below 1 (mulberry32). */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
const random = randomFrom(seed);
const below = (bound) => Math.floor(random() * bound);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What was acknowledged: the text of each message by its room and place, and how often each private one is to be heard. */
const published = new Map();
const whispered = new Map();

let numbers = 0;

class Client {
  static all = [];
  cable;
  socket;
  id;
  rooms = new Map();
  place = 0;
  whispers = new Map();
  recovered = 0;
  isTorn = false;

  static async start(nuncio, number) {
    const client = new Client();
    client.cable = await Cable.to(nuncio.page);
    const response = await fetch(`${nuncio.page}demo/token`, {
      method: "POST",
      body: JSON.stringify({ name: `client ${number}` }),
    });
    const { token } = await response.json();
    client.socket = io(client.cable.page, {
      transports: TRANSPORTS[number % TRANSPORTS.length],
      auth: { token },
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 200,
      timeout: 2_000,
    });
    client.listen();
    await next(client.socket, "connect");
    client.id = client.socket.id;
    const own = ROOMS.filter((_, room) => (number + room) % 3 === 0);
    for (const room of own) {
      const { status, seq } = await client.socket.timeout(PATIENCE).emitWithAck("room:join", room);
      assert.equal(status, "ok");
      // What came between the join and its answer was heard already.
      if (!client.rooms.has(room)) client.rooms.set(room, seq);
    }
    Client.all.push(client);
    return client;
  }

  listen() {
    this.socket.on("connect", () => {
      if (this.id === undefined) return;
      assert.equal(this.socket.recovered, true, `${this.id} is not recovered`);
      assert.equal(this.socket.id, this.id);
      this.recovered += 1;
    });
    this.socket.on("message:new", ({ roomId, seq, content }, offset) => {
      this.see(offset);
      const before = this.rooms.get(roomId) ?? seq - 1;
      assert.equal(seq, before + 1, `${this.id} in ${roomId}`);
      this.rooms.set(roomId, seq);
      keep(published, `${roomId} ${seq}`, content);
    });
    this.socket.on("message:private", ({ content }, offset) => {
      this.see(offset);
      assert.ok(!this.whispers.has(content), `${content} came twice`);
      this.whispers.set(content, offset);
    });
  }

  /** Places grow, over all rooms and all that is private. */
  see(offset) {
    const place = Number(offset.split(".")[1]);
    assert.ok(place > this.place, `${this.id}: ${place} after ${this.place}`);
    this.place = place;
  }

  /** Says something somewhere; what is not acknowledged may have been said. */
  async speak() {
    const content = `said ${++numbers}`;
    const room = [...this.rooms.keys()][below(this.rooms.size)];
    if (random() < 0.7) {
      const reply = await this.tell("message:send", { roomId: room, content, idempotencyKey: content });
      if (reply) keep(published, `${room} ${reply.seq}`, content);
      return;
    }
    const to = Client.all[below(Client.all.length)];
    const reply = await this.tell("message:private", { to: to.id, content });
    if (reply?.sessions === 1) whispered.set(content, to);
  }

  async tell(...event) {
    if (!this.socket.connected) return undefined;
    const reply = await this.socket.timeout(1_000).emitWithAck(...event).catch(() => undefined);
    return reply?.status === "ok" ? reply : undefined;
  }

  async tear() {
    if (this.isTorn) return;
    this.isTorn = true;
    this.cable.cut();
    await pause(below(400));
    this.cable.mend();
    this.isTorn = false;
  }

  close() {
    this.socket.close();
    this.cable.close();
  }
}

const said = () => published.size + whispered.size;

function keep(known, key, value) {
  assert.equal(known.get(key) ?? value, value, `${key} is two messages`);
  known.set(key, value);
}

test(`${CLIENTS} clients, cuts and ${KILLS} kills (SEED=${seed})`, async () => {
  const nuncio = await Nuncio.start(SETTINGS);
  try {
    const numbers = Array.from({ length: CLIENTS }, (_, number) => number);
    await Promise.all(numbers.map((number) => Client.start(nuncio, number)));

    for (let kill = 0; kill <= KILLS; kill += 1) {
      const before = said();
      for (let cuts = 0; said() < before + PHASE.messages || cuts < PHASE.cuts; ) {
        void Client.all[below(CLIENTS)].speak();
        if (random() < 0.1) {
          void Client.all[below(CLIENTS)].tear();
          cuts += 1;
        }
        await pause(4);
      }
      if (kill < KILLS) {
        await nuncio.kill();
        await nuncio.startAgain();
      }
    }
    await until(() => Client.all.every(({ socket, isTorn }) => socket.connected && !isTorn));
    // Each room's last message is behind all others.
    const last = new Map();
    for (const room of ROOMS) {
      const member = Client.all.find(({ rooms }) => rooms.has(room));
      const reply = await until(() => member.tell("message:send", { roomId: room, content: "the last" }));
      last.set(room, reply.seq);
    }
    await until(() => Client.all.every(({ rooms }) => [...rooms].every(([room, seq]) => seq >= last.get(room))));

    for (const [content, to] of whispered) await until(() => to.whispers.has(content));
    const returns = Client.all.reduce((sum, { recovered }) => sum + recovered, 0);
    assert.ok(returns >= CLIENTS * KILLS, `${returns} returns`);
    console.log(`${published.size} publications, ${whispered.size} private messages, ${returns} returns`);
  } finally {
    Client.all.forEach((client) => client.close());
    await nuncio.end();
  }
});
