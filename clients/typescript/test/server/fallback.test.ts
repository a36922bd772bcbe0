/** The fallback against the server itself: what no WebSocket carries, the others do. */
import { afterEach, beforeEach, expect, it } from "vitest";
import WS from "ws";

import { fallback, type FallbackOptions } from "../../src/fallback.js";
import { Client, webSocket } from "../../src/index.js";
import { Nuncio } from "./nuncio.js";

let nuncio: Nuncio;
const clients: Client[] = [];
beforeEach(async () => void (nuncio = await Nuncio.start()));
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await nuncio?.end();
});

/** A network that lets WebSockets through or not. */
let isBlocked = true;
class Blockable extends WS {
  constructor(url: string, protocols?: string | string[]) {
    if (isBlocked) throw new Error("blocked");
    super(url, protocols);
  }
}

function client(name: string, options: FallbackOptions): Client {
  const made = new Client({
    url: nuncio.socket,
    token: () => nuncio.token(name),
    dial: fallback({ WebSocket: Blockable as never, ...options }),
    base: 50,
    max: 500,
  });
  clients.push(made);
  made.connect();
  return made;
}

function bySocket(name: string): Client {
  const made = new Client({ url: nuncio.socket, token: () => nuncio.token(name), dial: webSocket(WS as never), base: 50, max: 500 });
  clients.push(made);
  made.connect();
  return made;
}

function listen(to: Client): string[] {
  const seen: string[] = [];
  to.room("lobby").on("chat:message", ({ content }) => void seen.push(String(content)));
  to.room("lobby").on("gap", (reason) => void seen.push(`gap: ${reason}`));
  return seen;
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index));

it.each(["sse", "poll"] as const)("chats by %s where no WebSocket gets through", async (name) => {
  isBlocked = true;
  const ann = client("ann", { order: ["websocket", name] });
  const bob = bySocket("bob");
  const [byAnn, byBob] = [listen(ann), listen(bob)];
  await Promise.all([ann.room("lobby").join(), bob.room("lobby").join()]);
  expect(ann.transport).toBe(name);
  for (const content of numbers(50)) {
    await ann.room("lobby").send(content);
  }
  await expect.poll(() => byBob).toEqual(numbers(50));
  expect(byAnn).toEqual(numbers(50));
});

it.each(["sse", "poll"] as const)("by %s, a killed and restarted server loses and repeats nothing", async (name) => {
  isBlocked = true;
  const ann = client("ann", { order: [name] });
  const bob = bySocket("bob");
  const byAnn = listen(ann);
  await Promise.all([ann.room("lobby").join(), bob.room("lobby").join()]);
  const sent = numbers(60).map(async (content, index) => {
    await new Promise((resolve) => setTimeout(resolve, index * 20));
    await bob.room("lobby").send(content);
  });
  await new Promise((resolve) => setTimeout(resolve, 400));
  await nuncio.kill();
  await nuncio.run();
  await Promise.all(sent);
  await expect.poll(() => byAnn.length, { timeout: 20_000 }).toBe(60);
  expect([...byAnn].sort((a, b) => Number(a) - Number(b))).toEqual(numbers(60));
});

it("moves up to WebSocket when that works again, and misses nothing on the way", async () => {
  isBlocked = true;
  const ann = client("ann", { upgradeAfter: 300 });
  const bob = bySocket("bob");
  const byAnn = listen(ann);
  await Promise.all([ann.room("lobby").join(), bob.room("lobby").join()]);
  expect(ann.transport).toBe("sse");
  for (const content of numbers(200)) {
    if (content === "50") isBlocked = false;
    await bob.room("lobby").send(content);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await expect.poll(() => ann.transport).toBe("websocket");
  await expect.poll(() => byAnn).toEqual(numbers(200));
});

it("says goodbye, so that it is offline at once", async () => {
  isBlocked = true;
  const ann = client("ann", { order: ["poll"] });
  const bob = bySocket("bob");
  const left: string[] = [];
  bob.room("lobby").on("user:left", (userId) => void left.push(String(userId)));
  await Promise.all([ann.room("lobby").join(), bob.room("lobby").join()]);
  ann.close();
  await expect.poll(() => left.length, { timeout: 3000 }).toBe(1);
});
