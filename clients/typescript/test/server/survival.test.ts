import { afterEach, beforeEach, expect, it } from "vitest";
import WS from "ws";

import { Client, webSocket } from "../../src/index.js";
import { Nuncio } from "./nuncio.js";

const CLIENTS = 8;
const ROOMS = ["a", "b", "c"];
const CUTS = 200;
const RESTARTS = 20;

let nuncio: Nuncio;
beforeEach(async () => void (nuncio = await Nuncio.start()));
afterEach(() => nuncio?.end());

interface Reader {
  client: Client;
  seen: Map<string, { id: string; seq: number }[]>;
  gaps: string[];
  cut(): void;
}

function reader(name: string): Reader {
  let socket: WS | undefined;
  class Cuttable extends WS {
    constructor(url: string, protocols?: string | string[]) {
      super(url, protocols);
      socket = this;
    }
  }
  const client = new Client({
    url: nuncio.socket,
    token: () => nuncio.token(name),
    dial: webSocket(Cuttable as never),
    base: 100,
    max: 1000,
    retries: 10,
    queueMax: 10_000,
  });
  const seen = new Map<string, { id: string; seq: number }[]>();
  const gaps: string[] = [];
  for (const id of ROOMS) {
    const list: { id: string; seq: number }[] = [];
    seen.set(id, list);
    client.room(id).on("chat:message", (message) => void list.push({ id: message.id, seq: message.seq }));
    client.room(id).on("gap", (reason, from, to) => void gaps.push(`${name} in ${id}: ${reason}: ${JSON.stringify({ from, to })}`));
  }
  client.connect();
  return { client, seen, gaps, cut: () => socket?.terminate() };
}

it(`${CLIENTS} clients over ${CUTS} cuts and ${RESTARTS} kills of the server lose, repeat and reorder nothing`, async () => {
  const readers = Array.from({ length: CLIENTS }, (_, index) => reader(`user-${index}`));
  await Promise.all(readers.flatMap(({ client }) => ROOMS.map((id) => client.room(id).join())));
  const acknowledged: Promise<{ room: string; id: string; seq: number }>[] = [];
  const pick = <Item>(items: Item[]): Item => items[Math.floor(Math.random() * items.length)]!;
  for (let step = 1; step <= CUTS; step++) {
    for (let burst = 0; burst < 3; burst++) {
      const room = pick(ROOMS);
      acknowledged.push(pick(readers).client.room(room).send(`${step}.${burst}`).then(({ id, seq }) => ({ room, id, seq })));
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
    pick(readers).cut();
    if (step % (CUTS / RESTARTS) === 0) {
      await nuncio.kill();
      await nuncio.run();
    }
  }
  const stored = await Promise.all(acknowledged);
  const newest = (room: string) => Math.max(...stored.filter((each) => each.room === room).map((each) => each.seq));
  await expect
    .poll(() => readers.every(({ seen }) => ROOMS.every((room) => seen.get(room)!.at(-1)?.seq === newest(room))), { timeout: 30_000 })
    .toBe(true);

  expect(readers.flatMap(({ gaps }) => gaps)).toEqual([]);
  for (const room of ROOMS) {
    const ids = new Map(stored.filter((each) => each.room === room).map(({ seq, id }) => [seq, id]));
    for (const { seen } of readers) {
      const list = seen.get(room)!;
      expect(list.map(({ seq }) => seq)).toEqual(Array.from({ length: newest(room) }, (_, index) => index + 1));
      for (const [seq, id] of ids) expect(list[seq - 1]!.id).toBe(id);
    }
  }
  for (const { client } of readers) client.close();
});
