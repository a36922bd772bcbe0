import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { NuncioError } from "../src/index.js";
import { dialed, ready, settle } from "./harness.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const stored = { status: "ok", id: "m1", epoch: "e1", seq: 1, ts: 0 };
const codeOf = (promise: Promise<unknown>) => promise.then(() => "none", (error: NuncioError) => error.code);

describe("a message", () => {
  it("resolves with where it was stored", async () => {
    const { client, line } = await ready();
    const sent = client.room("lobby").send({ text: "hi" });
    expect(line.last("chat:message")).toMatchObject({ roomId: "lobby", content: { text: "hi" }, id: 1 });
    line.ack("chat:message", stored);
    expect(await sent).toEqual(stored);
  });

  it("without a reply is sent again after 5 s, three times, under one idempotency key, then fails", async () => {
    const { client, line } = await ready();
    const code = codeOf(client.room("lobby").send("hi"));
    for (let second = 0; second < 20; second++) {
      await vi.advanceTimersByTimeAsync(1000);
      line.push({ type: "pong" });
    }
    expect(await code).toBe("TIMEOUT");
    const sent = line.of("chat:message");
    expect(sent).toHaveLength(4);
    expect(new Set(sent.map((message) => message["idempotencyKey"])).size).toBe(1);
    expect(new Set(sent.map((message) => message["id"])).size).toBe(4);
  });

  it("has a key of its own", async () => {
    const { client, line } = await ready();
    void client.room("lobby").send("one");
    void client.room("lobby").send("two");
    const [one, two] = line.of("chat:message");
    expect(one!["idempotencyKey"]).not.toBe(two!["idempotencyKey"]);
  });

  it("on its way when the connection breaks goes out again first, in order, under the same key", async () => {
    const { client, lines, line } = await ready();
    const room = client.room("lobby");
    const sent = [room.send("one"), room.send("two")];
    const keys = line.of("chat:message").map((message) => message["idempotencyKey"]);
    line.drop();
    void room.send("three");
    await vi.advanceTimersByTimeAsync(1000);
    await lines[1]!.resumed([]);
    const again = lines[1]!.of("chat:message");
    expect(again.map((message) => message["content"])).toEqual(["one", "two", "three"]);
    expect(again.slice(0, 2).map((message) => message["idempotencyKey"])).toEqual(keys);
    for (const message of again) lines[1]!.push({ ack: message["id"], data: stored });
    expect(await Promise.all(sent)).toEqual([stored, stored]);
  });

  it("is not repeated once the server may have forgotten its key", async () => {
    const { client, lines, line } = await ready();
    const code = codeOf(client.room("lobby").send("hi"));
    line.drop();
    // As after a night's sleep of the machine: timers stood still, the clock did not.
    vi.setSystemTime(Date.now() + 5 * 60_000);
    client.wake();
    await settle();
    await lines[1]!.resumed([]);
    expect(await code).toBe("DISCONNECTED");
    expect(lines.at(-1)!.of("chat:message")).toEqual([]);
  });

  it.each([1002, 1003, 1007, 1009])("is not repeated after %i, which may be its own fault", async (closeCode) => {
    const { client, lines, line } = await ready();
    const code = codeOf(client.room("lobby").send("hi"));
    line.drop(closeCode);
    expect(await code).toBe("DISCONNECTED");
    await vi.advanceTimersByTimeAsync(1000);
    await lines[1]!.resumed([]);
    expect(lines[1]!.of("chat:message")).toEqual([]);
  });

  it("over the server's size limit fails without being sent", async () => {
    const { client, lines } = dialed();
    client.connect();
    await settle();
    await lines[0]!.accept("r", { messageBytes: 300 });
    expect(await codeOf(client.room("lobby").send("é".repeat(150)))).toBe("TOO_LARGE");
    expect(lines[0]!.of("chat:message")).toEqual([]);
  });

  it("says what it was when it was sent, though the object changes later", async () => {
    const { client, lines } = dialed();
    const content = { text: "before" };
    void client.room("lobby").send(content);
    content.text = "after";
    client.connect();
    await settle();
    await lines[0]!.accept();
    expect(lines[0]!.last("chat:message")["content"]).toEqual({ text: "before" });
  });

  it("refused by the server rejects with its code and text", async () => {
    const { client, line } = await ready();
    const sent = client.room("lobby").send("hi");
    line.fail("chat:message", "FORBIDDEN");
    await expect(sent).rejects.toMatchObject({ name: "NuncioError", code: "FORBIDDEN", message: "FORBIDDEN" });
  });
});

describe("the queue", () => {
  it("is bounded, and one message more is an error", async () => {
    const { client } = dialed({ queueMax: 2 });
    const room = client.room("lobby");
    void room.send("one");
    void room.send("two");
    expect(await codeOf(room.send("three"))).toBe("QUEUE_FULL");
  });

  it("keeps its order over a connection", async () => {
    const { client, lines } = dialed();
    for (let index = 0; index < 50; index++) void client.room("lobby").send(index);
    client.connect();
    await settle();
    await lines[0]!.accept();
    expect(lines[0]!.of("chat:message").map((message) => message["content"])).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  it("goes out no faster than the server's rate limit", async () => {
    const { client, lines } = dialed();
    for (let index = 0; index < 60; index++) void client.room("lobby").send(index).catch(() => {});
    client.connect();
    await settle();
    await lines[0]!.accept("r", { ratePerSecond: 10, burst: 20 });
    const answered = () => {
      for (const message of lines[0]!.of("chat:message")) lines[0]!.push({ ack: message["id"], data: stored });
      return lines[0]!.of("chat:message").length;
    };
    expect(answered()).toBe(19);
    for (let second = 1; second <= 4; second++) {
      await vi.advanceTimersByTimeAsync(1000);
      expect(answered()).toBeGreaterThanOrEqual(19 + 8 * second);
      expect(answered()).toBeLessThanOrEqual(20 + 10 * second);
    }
    await vi.advanceTimersByTimeAsync(2000);
    expect(answered()).toBe(60);
  });

  it("pauses when the server says that the rate was exceeded, and then repeats the refused message first", async () => {
    const { client, line } = await ready();
    const room = client.room("lobby");
    const sent = room.send("one");
    line.fail("chat:message", "RATE_LIMITED", { retryAfter: 700 });
    void room.send("two");
    await vi.advanceTimersByTimeAsync(699);
    expect(line.of("chat:message")).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(line.of("chat:message").map((message) => message["content"])).toEqual(["one", "one", "two"]);
    line.push({ ack: 2, data: stored });
    expect(await sent).toEqual(stored);
  });

  it("fails with CLOSED when the client is closed, and so does what comes after", async () => {
    const { client } = dialed();
    const queued = codeOf(client.room("lobby").send("hi"));
    client.close();
    expect(await queued).toBe("CLOSED");
    expect(await codeOf(client.room("lobby").send("hi"))).toBe("CLOSED");
  });
});

describe("what has no idempotency key", () => {
  it("waits for a connection, but fails when one breaks before the reply", async () => {
    const { client, lines, line } = await ready();
    const answered = client.sendPrivate("bob", "psst");
    line.ack("message:private", { status: "ok", sessions: 2 });
    expect(await answered).toEqual({ status: "ok", sessions: 2 });
    const code = codeOf(client.sendPrivate("bob", "psst"));
    line.drop();
    expect(await code).toBe("DISCONNECTED");
    await vi.advanceTimersByTimeAsync(1000);
    await lines[1]!.resumed([]);
    expect(lines[1]!.of("message:private")).toEqual([]);
  });

  it("is repeated when the server says that it did not do it", async () => {
    const { client, line } = await ready();
    const answered = client.sendPrivate("bob", "psst");
    line.fail("message:private", "RATE_LIMITED", { retryAfter: 100 });
    await vi.advanceTimersByTimeAsync(100);
    line.ack("message:private", { status: "ok", sessions: 1 });
    expect((await answered).sessions).toBe(1);
  });

  it("reads are repeated, for they change nothing", async () => {
    const { client, lines, line } = await ready();
    const page = client.room("lobby").presence({ limit: 0 });
    expect(line.last("presence:get")).toMatchObject({ roomId: "lobby", limit: 0 });
    line.drop();
    await vi.advanceTimersByTimeAsync(1000);
    await lines[1]!.resumed([]);
    lines[1]!.ack("presence:get", { count: 7 });
    expect(await page).toEqual({ count: 7 });
  });
});

type Events = {
  "cursor:move": { x: number; y: number };
  question: string;
};

describe("an application's events", () => {
  it("have the names and the data of its event map", async () => {
    const { client, lines } = dialed<Events>();
    const room = client.room("board");
    client.connect();
    await settle();
    await lines[0]!.accept();
    const seen: number[] = [];
    room.onEvent("cursor:move", ({ x, y }, { userId }) => void seen.push(x + y + userId!.length));
    // @ts-expect-error: no such event is in the map
    room.onEvent("cursor:jump", ({ x }: { x: number }) => x);
    // @ts-expect-error: y is missing
    void room.emit("cursor:move", { x: 1 }).catch(() => {});
    void room.join();
    lines[0]!.ack("room:join", { roomId: "board", epoch: "e1", seq: 0, recovered: true });
    await settle();
    lines[0]!.push({ type: "event", event: "cursor:move", roomId: "board", data: { x: 1, y: 2 }, userId: "bob", seq: 1, ts: 0 });
    expect(seen).toEqual([6]);
  });

  it("without a room call the server, whose answer comes back", async () => {
    const { client, line } = await ready();
    const answer = client.call("question", "why?");
    expect(line.last("event")).toMatchObject({ event: "question", data: "why?" });
    line.ack("event", { text: "because" });
    expect(await answer).toEqual({ text: "because" });
  });

  it("of the server that ask are answered with what a listener returns", async () => {
    const { client, line } = await ready();
    client.onEvent("question", async (data) => `${data as string} 42`);
    line.push({ type: "event", event: "question", data: "the answer?", ackId: 7 });
    await settle();
    expect(line.sent.at(-1)).toEqual({ ack: 7, data: "the answer? 42" });
  });
});

describe("messages of the server", () => {
  it("for the user alone, about users, and errors are passed on", async () => {
    const { client, line } = await ready();
    const seen: unknown[] = [];
    client.on("message:private", (message) => void seen.push(message.content));
    client.on("presence:update", (message) => void seen.push(message.status));
    client.on("error", (error) => void seen.push(error.code));
    line.push({ type: "message:private", from: "s2", fromUser: "bob", content: "psst", ts: 0 });
    line.push({ type: "presence:update", userId: "bob", status: "offline" });
    line.push({ type: "error", code: "TOO_LARGE", message: "too large" });
    expect(seen).toEqual(["psst", "offline", "TOO_LARGE"]);
  });

  it("of unknown types, and what is not JSON, are ignored", async () => {
    const { client, line } = await ready();
    line.push({ type: "from:the:future" });
    for (const text of ["", "{", "null", "1", '"text"', "[]"]) line.events.message(text);
    line.push({ ack: "not ours", data: {} });
    expect(client.state).toBe("ready");
  });
});
