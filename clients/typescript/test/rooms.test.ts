import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { NuncioError } from "../src/index.js";
import { dialed, ready, settle } from "./harness.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const joinedAt = (seq: number) => ({ roomId: "lobby", epoch: "e1", seq, recovered: true, members: 1 });
const chat = (seq: number, more: object = {}) => ({ type: "chat:message", id: `m${seq}`, seq, roomId: "lobby", userId: "bob", content: "hi", ts: 0, ...more });

/** A client that is in the room `lobby`, whose head was 4. */
async function inLobby() {
  const setup = await ready();
  const room = setup.client.room("lobby");
  const joined = room.join();
  setup.line.ack("room:join", joinedAt(4));
  await joined;
  return { ...setup, room };
}

describe("a room", () => {
  it("is joined with the history asked for", async () => {
    const { client, line } = await ready();
    const room = client.room("lobby");
    const seen: string[] = [];
    room.on("chat:message", (message, origin) => void seen.push(`${message.seq} ${origin}`));
    const joined = room.join({ history: 20 });
    expect(line.last("room:join")).toMatchObject({ roomId: "lobby", history: 20 });
    line.ack("room:join", joinedAt(30));
    for (const seq of [28, 29, 30, 31]) line.push(chat(seq));
    expect((await joined).members).toBe(1);
    expect(seen).toEqual(["28 history", "29 history", "30 history", "31 live"]);
  });

  it("is joined since a position that the application kept", async () => {
    const { client, line } = await ready();
    const recovered = vi.fn();
    client.room("lobby").on("recovered", recovered);
    void client.room("lobby").join({ since: { epoch: "e1", seq: 2 }, history: 20 });
    expect(line.last("room:join")).toMatchObject({ since: { epoch: "e1", seq: 2 } });
    expect(line.last("room:join")["history"]).toBeUndefined();
    line.ack("room:join", joinedAt(4));
    await settle();
    expect(recovered).toHaveBeenCalledWith(2);
  });

  it("is joined once, however often that is asked for", async () => {
    const { client, line } = await ready();
    const joins = [client.room("lobby").join(), client.room("lobby").join()];
    line.ack("room:join", joinedAt(4));
    await Promise.all(joins);
    await client.room("lobby").join();
    expect(line.of("room:join")).toHaveLength(1);
  });

  it("asked for while offline is joined at the next connection, before the queue goes out", async () => {
    const { client, lines } = dialed();
    const room = client.room("lobby");
    const joined = room.join();
    void room.send("hello");
    client.connect();
    await settle();
    await lines[0]!.accept();
    expect(lines[0]!.sent.map((message) => message["type"])).toEqual(["auth", "room:join", "chat:message"]);
    lines[0]!.ack("room:join", joinedAt(0));
    await joined;
  });

  it("that is refused rejects with the server's code and is not asked for again", async () => {
    const { client, lines, line } = await ready();
    const joined = client.room("secret").join();
    line.fail("room:join", "FORBIDDEN");
    await expect(joined).rejects.toMatchObject({ code: "FORBIDDEN" });
    line.drop();
    await vi.advanceTimersByTimeAsync(1000);
    await lines[1]!.resumed([]);
    expect(lines[1]!.of("room:join")).toEqual([]);
  });

  it("refused for a passing reason is asked for again after the delay the server names", async () => {
    const { client, line } = await ready();
    const joined = client.room("lobby").join();
    line.fail("room:join", "RATE_LIMITED", { retryAfter: 300 });
    await vi.advanceTimersByTimeAsync(300);
    expect(line.of("room:join")).toHaveLength(2);
    line.ack("room:join", joinedAt(4));
    await joined;
  });

  it("of a batch may be refused while others are joined", async () => {
    const { client, lines } = dialed();
    const lobby = client.room("lobby").join();
    const secret = client.room("secret").join();
    client.connect();
    await settle();
    await lines[0]!.accept();
    lines[0]!.ack("room:join", { rooms: [joinedAt(4), { roomId: "secret", error: { code: "FORBIDDEN", message: "no" } }] });
    await expect(secret).rejects.toMatchObject({ code: "FORBIDDEN" });
    await lobby;
  });

  it("tells of a gap when the server announces a break or a number is missing", async () => {
    const { room, line } = await inLobby();
    const gap = vi.fn();
    room.on("gap", gap);
    line.push({ type: "room:position", roomId: "lobby", epoch: "e2", seq: 1, recovered: false, reason: "failover" });
    expect(gap).toHaveBeenLastCalledWith("failover", { epoch: "e1", seq: 4 }, { epoch: "e2", seq: 1 });
    line.push(chat(2));
    line.push(chat(4));
    expect(gap).toHaveBeenLastCalledWith("a number is missing", { epoch: "e2", seq: 2 }, { epoch: "e2", seq: 4 });
    expect(gap).toHaveBeenCalledTimes(2);
  });

  it("says that it was removed, and drops what still arrives", async () => {
    const { room, line } = await inLobby();
    const removed = vi.fn();
    const message = vi.fn();
    room.on("removed", removed);
    room.on("chat:message", message);
    line.push({ type: "room:removed", roomId: "lobby", code: "FORBIDDEN" });
    line.push(chat(5));
    expect(removed).toHaveBeenCalledWith("FORBIDDEN");
    expect(message).not.toHaveBeenCalled();
    expect(room.joined).toBe(false);
  });

  it("that was left is silent, not joined again, and starts afresh when joined anew", async () => {
    const { client, room, line, lines } = await inLobby();
    const message = vi.fn();
    room.on("chat:message", message);
    void room.leave();
    expect(line.last("room:leave")).toMatchObject({ roomId: "lobby" });
    line.push(chat(5));
    expect(message).not.toHaveBeenCalled();
    line.drop();
    await vi.advanceTimersByTimeAsync(1000);
    await lines[1]!.resumed([]);
    expect(lines[1]!.of("room:join")).toEqual([]);
    expect(client.room("lobby")).toBe(room);
    void room.join({ history: 3 });
    expect(lines[1]!.last("room:join")).toMatchObject({ roomId: "lobby", history: 3 });
  });

  it("to which the server joined the session by itself is announced before its first message", async () => {
    const { client, line } = await ready();
    const seen: unknown[] = [];
    client.on("room", (room) => room.on("chat:message", (message) => void seen.push([room.id, message.content])));
    line.push(chat(7, { epoch: "e1" }));
    line.push(chat(8));
    expect(seen).toEqual([["lobby", "hi"], ["lobby", "hi"]]);
    expect(client.room("lobby").position).toEqual({ epoch: "e1", seq: 8 });
  });

  it("to which the token joins the session is announced with its position", async () => {
    const { client, line } = await ready();
    const rooms: string[] = [];
    client.on("room", (room) => void rooms.push(room.id));
    line.push({ type: "room:position", roomId: "lobby", epoch: "e1", seq: 7, recovered: true, reason: "joined" });
    const messages = vi.fn();
    const gap = vi.fn();
    client.room("lobby").on("chat:message", messages);
    client.room("lobby").on("gap", gap);
    line.push(chat(8));
    expect(rooms).toEqual(["lobby"]);
    expect(client.room("lobby").position).toEqual({ epoch: "e1", seq: 8 });
    expect(messages).toHaveBeenCalledTimes(1);
    expect(gap).not.toHaveBeenCalled();
  });

  it("to which the token joins a new session is read on from where it was, without a gap", async () => {
    const { room, lines, line } = await inLobby();
    const seen: unknown[] = [];
    room.on("chat:message", (message) => void seen.push(message.seq));
    room.on("gap", () => void seen.push("gap"));
    line.drop();
    await vi.advanceTimersByTimeAsync(1000);
    const next = lines[1]!;
    next.events.open();
    next.push({ type: "error", code: "NOT_FOUND", message: "no such session" });
    await settle();
    next.push({ type: "auth_ok", user: { sub: "ann" }, resume: "resume-2" });
    next.push({ type: "room:position", roomId: "lobby", epoch: "e1", seq: 6, recovered: true, reason: "joined" });
    next.push(chat(7));
    next.ack("room:join", joinedAt(7));
    for (const seq of [5, 6, 7, 8]) next.push(chat(seq));
    expect(seen).toEqual([5, 6, 7, 8]);
  });

  it("that was left is left again when the token joins it to a new session", async () => {
    const { room, line } = await inLobby();
    void room.leave();
    line.push({ type: "room:position", roomId: "lobby", epoch: "e1", seq: 7, recovered: true, reason: "joined" });
    expect(line.of("room:leave")).toHaveLength(2);
    expect(room.joined).toBe(false);
  });

  it("passes on who joins, leaves and types", async () => {
    const { room, line } = await inLobby();
    const seen: unknown[] = [];
    for (const name of ["user:joined", "user:left", "user:typing", "presence:count"] as const) room.on(name, (message) => void seen.push(message.type));
    line.push({ type: "user:joined", roomId: "lobby", userId: "bob" });
    line.push({ type: "user:typing", roomId: "lobby", userId: "bob", typing: true });
    line.push({ type: "user:left", roomId: "lobby", userId: "bob" });
    line.push({ type: "presence:count", roomId: "lobby", count: 300 });
    expect(seen).toEqual(["user:joined", "user:typing", "user:left", "presence:count"]);
  });

  it("announces typing at most every 3 s, not while offline, and its end once", async () => {
    const { room, line } = await inLobby();
    for (let key = 0; key < 10; key++) room.startTyping();
    expect(line.of("typing:start")).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(3000);
    room.startTyping();
    expect(line.of("typing:start")).toHaveLength(2);
    room.stopTyping();
    room.stopTyping();
    expect(line.of("typing:stop")).toHaveLength(1);
    line.drop();
    room.startTyping();
    expect(line.of("typing:start")).toHaveLength(2);
  });

  it("keeps listening when a listener throws", async () => {
    const { room, line } = await inLobby();
    const thrown: unknown[] = [];
    const queue = vi.spyOn(globalThis, "queueMicrotask").mockImplementation((task) => {
      try {
        task();
      } catch (error) {
        thrown.push(error);
      }
    });
    const second = vi.fn();
    room.on("chat:message", () => {
      throw new Error("the application's own");
    });
    room.on("chat:message", second);
    line.push(chat(5));
    line.push(chat(6));
    queue.mockRestore();
    expect(second).toHaveBeenCalledTimes(2);
    expect(thrown).toHaveLength(2);
  });

  it("rejects a join that waits when the client is closed", async () => {
    const { client } = await ready();
    const joined = client.room("lobby").join().catch((error: NuncioError) => error.code);
    client.close();
    expect(await joined).toBe("CLOSED");
  });
});
