import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Client } from "../src/index.js";
import { ModelNetwork } from "./harness.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A small generator of repeatable random numbers (mulberry32). */
function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(seed ^ (seed >>> 15), seed | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Reader {
  client: Client;
  /** What the application saw in each room: numbers, and `gap`. */
  seen: Map<string, (number | "gap")[]>;
}

function reader(network: ModelNetwork, name: string, rooms: string[], random: () => number): Reader {
  const client = new Client({ url: "ws://model/ws", token: `token-for-${name}`, dial: network.dial, random, queueMax: 10_000 });
  const seen = new Map<string, (number | "gap")[]>();
  for (const id of rooms) {
    const list: (number | "gap")[] = [];
    seen.set(id, list);
    client.room(id).on("chat:message", (message) => void list.push(message.seq));
    client.room(id).on("gap", () => void list.push("gap"));
    void client.room(id).join();
  }
  client.connect();
  return { client, seen };
}

describe.each([1, 2, 3, 4, 5, 6, 7, 8])("over a network that cuts at random (seed %i)", (seed) => {
  it("every message is stored once, and every reader sees each once and in order", async () => {
    const random = seeded(seed);
    const network = new ModelNetwork(() => random() * 80);
    network.server.options.historyMax = 100_000;
    const rooms = ["a", "b"];
    const readers = ["ann", "bob", "cem"].map((name) => reader(network, name, rooms, random));
    await vi.advanceTimersByTimeAsync(1000);
    const acknowledged: { room: string; content: string; seq: number }[] = [];
    let sent = 0;
    for (let tick = 0; tick < 600; tick++) {
      const { client } = readers[Math.floor(random() * readers.length)]!;
      const room = rooms[Math.floor(random() * rooms.length)]!;
      const content = `message ${sent++}`;
      void client.room(room).send(content).then(({ seq }) => acknowledged.push({ room, content, seq }));
      if (random() < 0.1) for (const cable of network.cables) if (random() < 0.5) cable.cut();
      if (random() < 0.01) {
        network.server.forgetSessions();
        for (const cable of network.cables) cable.cut(1012);
      }
      await vi.advanceTimersByTimeAsync(random() * 200);
    }
    await vi.advanceTimersByTimeAsync(120_000);

    expect(acknowledged).toHaveLength(sent);
    for (const id of rooms) {
      const { log, seq } = network.server.room(id);
      const contents = log.map((publication) => publication["content"]);
      expect(new Set(contents).size).toBe(contents.length);
      for (const { seen } of readers) expect(seen.get(id)).toEqual(Array.from({ length: seq }, (_, index) => index + 1));
    }
    for (const { room, content, seq } of acknowledged) {
      expect(network.server.room(room).log[seq - 1]!["content"]).toBe(content);
    }
  });

  it("what a room no longer keeps is told as a gap, never passed over", async () => {
    const random = seeded(seed + 100);
    const network = new ModelNetwork(() => random() * 80);
    network.server.options.historyMax = 5;
    const { seen } = reader(network, "ann", ["a"], random);
    const writer = reader(network, "bob", ["a"], random);
    await vi.advanceTimersByTimeAsync(1000);
    for (let tick = 0; tick < 400; tick++) {
      void writer.client.room("a").send(tick).catch(() => {});
      if (random() < 0.08) for (const cable of network.cables) cable.cut();
      await vi.advanceTimersByTimeAsync(random() * 300);
    }
    await vi.advanceTimersByTimeAsync(120_000);

    const list = seen.get("a")!;
    expect(list).toContain("gap");
    list.forEach((entry, index) => {
      const before = list[index - 1];
      if (typeof entry === "number" && typeof before === "number") expect(entry).toBe(before + 1);
    });
    const numbers = list.filter((entry) => typeof entry === "number");
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});
