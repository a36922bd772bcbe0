import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Cause, State } from "../src/index.js";
import { dialed, ready, settle } from "./harness.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("connecting", () => {
  it("sends the token first and is ready once it is accepted", async () => {
    const { client, lines } = dialed();
    client.connect();
    await settle();
    expect(client.state).toBe("connecting");
    await lines[0]!.accept();
    expect(lines[0]!.sent).toEqual([{ type: "auth", token: "token-for-ann" }]);
    expect(client.state).toBe("ready");
    expect(client.user).toEqual({ sub: "ann" });
  });

  it("sends no token where the connection carries the authentication", async () => {
    const { client, lines } = dialed();
    const bare = dialed({ token: undefined as never });
    bare.client.connect();
    await settle();
    await bare.lines[0]!.accept();
    expect(bare.lines[0]!.sent).toEqual([]);
    expect(bare.client.state).toBe("ready");
    expect(client.state).toBe("idle");
    expect(lines).toEqual([]);
  });

  it("gives an attempt up after 10 s and tries again", async () => {
    const { client, lines } = dialed();
    client.connect();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(client.state).toBe("waiting");
    expect(lines[0]!.closedWith).toEqual({ code: 3008, reason: "no session in time" });
    await vi.advanceTimersByTimeAsync(1000);
    expect(lines).toHaveLength(2);
  });

  it("tries again when the token cannot be fetched", async () => {
    const token = vi.fn().mockRejectedValueOnce(new Error("offline")).mockResolvedValue("t");
    const { client, lines } = dialed({ token });
    client.connect();
    await settle();
    expect(client.state).toBe("waiting");
    await vi.advanceTimersByTimeAsync(1000);
    expect(lines).toHaveLength(1);
  });

  it("tries again when dialing throws", async () => {
    const dial = vi.fn(() => {
      throw new Error("no WebSocket here");
    });
    const { client } = dialed({ dial });
    client.connect();
    await settle();
    expect(client.state).toBe("waiting");
    await vi.advanceTimersByTimeAsync(1000);
    expect(dial).toHaveBeenCalledTimes(2);
  });
});

describe("reconnecting", () => {
  it("has one attempt under way, however often it is asked to connect", async () => {
    const { client, lines } = dialed();
    for (let call = 0; call < 5; call++) client.connect();
    await settle();
    client.wake();
    client.connect();
    expect(lines).toHaveLength(1);
    lines[0]!.drop();
    client.wake();
    client.wake();
    client.connect();
    await settle();
    expect(lines).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(5000);
    expect(lines).toHaveLength(2);
  });

  it("waits longer after each failure", async () => {
    const { client, lines } = dialed();
    const delays: (number | undefined)[] = [];
    client.on("state", (_state, cause) => cause && delays.push(cause.delay));
    client.connect();
    for (let attempt = 0; attempt < 4; attempt++) {
      await settle();
      lines.at(-1)!.drop();
      await vi.advanceTimersByTimeAsync(delays.at(-1)!);
    }
    expect(delays).toEqual([1000, 2000, 4000, 8000]);
  });

  it("ends after the attempts allowed, and connect starts anew", async () => {
    const { client, lines } = dialed({ attempts: 1 });
    client.connect();
    await settle();
    lines[0]!.drop();
    await vi.advanceTimersByTimeAsync(1000);
    lines[1]!.drop();
    expect(client.state).toBe("closed");
    client.connect();
    await settle();
    expect(lines).toHaveLength(3);
  });

  it("waits as long as the server announced before it closed with 1012", async () => {
    const { client, lines, line } = await ready({ random: () => 0.5 });
    line.push({ type: "reconnect", after: 7000, reason: "Server shutting down" });
    line.drop(1012, "Server shutting down");
    await vi.advanceTimersByTimeAsync(7499);
    expect(lines).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(lines).toHaveLength(2);
    expect(client.state).toBe("connecting");
  });

  it("forgets an announced delay after it was waited for", async () => {
    const { lines, line } = await ready();
    line.push({ type: "reconnect", after: 7000, reason: "Server shutting down" });
    line.drop(1012);
    await vi.advanceTimersByTimeAsync(8000);
    lines[1]!.drop();
    await vi.advanceTimersByTimeAsync(2000);
    expect(lines).toHaveLength(3);
  });

  it.each([
    [1000, "normal"],
    [4001, "Resumed elsewhere"],
    [4004, "revoked"],
    [4100, "the application's own"],
  ])("stays away after close code %i (%s)", async (code, reason) => {
    const { client, lines, line } = await ready();
    const causes: [State, Cause | undefined][] = [];
    client.on("state", (state, cause) => void causes.push([state, cause]));
    line.drop(code, reason);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(lines).toHaveLength(1);
    expect(causes).toEqual([["closed", { code, reason }]]);
  });

  it("comes back after an application's close code if the application says so", async () => {
    const { lines, line } = await ready({ retryAfterClose: (code) => code === 4200 });
    line.drop(4200);
    await vi.advanceTimersByTimeAsync(1000);
    expect(lines).toHaveLength(2);
  });

  it.each([1008, 4003])("comes back with a new token, and a new session, after %i", async (code) => {
    let tokens = 0;
    const { lines, line } = await ready({ token: () => `token-${++tokens}` });
    line.drop(code);
    await vi.advanceTimersByTimeAsync(1000);
    lines[1]!.events.open();
    expect(lines[1]!.sent).toEqual([{ type: "auth", token: "token-2" }]);
  });

  it("ends when the refused token is the only one there is", async () => {
    const { client, lines, line } = await ready({ token: "the only one" });
    line.drop(1008, "Authentication failed");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(lines).toHaveLength(1);
    expect(client.state).toBe("closed");
  });

  it("is not revived by a close event of a connection it gave up", async () => {
    const { client, lines, line } = await ready();
    client.close();
    line.drop(1006);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(client.state).toBe("closed");
    expect(line.closedWith).toEqual({ code: 1000, reason: "" });
    expect(lines).toHaveLength(1);
  });
});

describe("liveness", () => {
  it("pings a silent server after its heartbeat interval and leaves when no answer comes", async () => {
    const { client, line } = await ready();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(line.of("ping")).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(19_999);
    expect(client.state).toBe("ready");
    await vi.advanceTimersByTimeAsync(1);
    expect(client.state).toBe("waiting");
  });

  it("stays while pongs come, and does not ping a server that talks", async () => {
    const { client, line } = await ready();
    for (let second = 0; second < 120; second++) {
      await vi.advanceTimersByTimeAsync(1000);
      if (second < 60) line.push({ type: "presence:update", userId: "bob", status: "online" });
      else if (line.of("ping").length > 0) line.push({ type: "pong" });
    }
    expect(client.state).toBe("ready");
    expect(line.of("ping").length).toBeLessThanOrEqual(2);
  });

  it("tries at once when the network comes back, and probes a connection when the page is seen", async () => {
    const target = new EventTarget();
    const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
    vi.stubGlobal("addEventListener", target.addEventListener.bind(target));
    vi.stubGlobal("removeEventListener", target.removeEventListener.bind(target));
    vi.stubGlobal("document", page);
    const { client, lines, line } = await ready();
    page.dispatchEvent(new Event("visibilitychange"));
    expect(line.of("ping")).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(5000);
    expect(client.state).toBe("waiting");
    target.dispatchEvent(new Event("online"));
    await settle();
    expect(lines).toHaveLength(2);
    client.close();
    target.dispatchEvent(new Event("online"));
    await settle();
    expect(lines).toHaveLength(2);
  });
});

describe("resuming", () => {
  it("takes the session over with its token and the position of each room", async () => {
    const { client, lines, line } = await ready();
    const room = client.room("lobby");
    const joined = room.join();
    line.ack("room:join", { roomId: "lobby", epoch: "e1", seq: 4, recovered: true, members: 1 });
    await joined;
    line.push({ type: "chat:message", id: "m5", seq: 5, roomId: "lobby", userId: "bob", content: "hi", ts: 0 });
    line.drop();
    await vi.advanceTimersByTimeAsync(1000);
    lines[1]!.events.open();
    expect(lines[1]!.sent).toEqual([{ type: "resume", resume: "resume-1", rooms: [{ roomId: "lobby", epoch: "e1", seq: 5 }] }]);
  });

  it("uses the rotated resume token the next time", async () => {
    const { lines, line } = await ready();
    line.drop();
    await vi.advanceTimersByTimeAsync(1000);
    await lines[1]!.resumed([], "resume-2");
    lines[1]!.drop();
    await vi.advanceTimersByTimeAsync(2000);
    lines[2]!.events.open();
    expect(lines[2]!.last("resume")["resume"]).toBe("resume-2");
  });

  it("delivers what was missed once and in order, and tells how much it is", async () => {
    const { client, lines, line } = await ready();
    const room = client.room("lobby");
    const seen: unknown[] = [];
    room.on("recovered", (missed) => void seen.push(`${missed} missed`));
    room.on("chat:message", (message, origin) => void seen.push(`${message.seq} ${origin}`));
    void room.join();
    line.ack("room:join", { roomId: "lobby", epoch: "e1", seq: 0, recovered: true, members: 1 });
    await settle();
    const message = (seq: number) => ({ type: "chat:message", id: `m${seq}`, seq, roomId: "lobby", userId: "bob", content: seq, ts: 0 });
    line.push(message(1));
    line.drop();
    await vi.advanceTimersByTimeAsync(1000);
    await lines[1]!.resumed([{ roomId: "lobby", epoch: "e1", seq: 3, recovered: true }]);
    for (const seq of [1, 2, 3, 3, 4]) lines[1]!.push(message(seq));
    expect(seen).toEqual(["1 live", "2 missed", "2 replay", "3 replay", "4 live"]);
    expect(lines[1]!.of("room:join")).toEqual([]);
  });

  it("tells of a gap when what was missed is gone", async () => {
    const { client, lines, line } = await ready();
    const room = client.room("lobby");
    const gap = vi.fn();
    room.on("gap", gap);
    void room.join();
    line.ack("room:join", { roomId: "lobby", epoch: "e1", seq: 9, recovered: true, members: 1 });
    await settle();
    line.drop();
    await vi.advanceTimersByTimeAsync(1000);
    await lines[1]!.resumed([{ roomId: "lobby", epoch: "e2", seq: 2, recovered: false }]);
    expect(gap).toHaveBeenCalledTimes(1);
    expect(room.position).toEqual({ epoch: "e2", seq: 2 });
  });

  it("authenticates anew on the same connection when the session is not found, and joins since its positions", async () => {
    const { client, lines, line } = await ready();
    void client.room("lobby").join();
    line.ack("room:join", { roomId: "lobby", epoch: "e1", seq: 4, recovered: true, members: 1 });
    await settle();
    line.drop();
    await vi.advanceTimersByTimeAsync(1000);
    lines[1]!.events.open();
    lines[1]!.welcome();
    lines[1]!.push({ type: "error", code: "NOT_FOUND", message: "no such session" });
    await settle();
    expect(lines[1]!.last("auth")).toEqual({ type: "auth", token: "token-for-ann" });
    lines[1]!.push({ type: "auth_ok", user: { sub: "ann" }, resume: "resume-9" });
    expect(lines[1]!.last("room:join")).toMatchObject({ roomId: "lobby", since: { epoch: "e1", seq: 4 } });
  });

  it("authenticates anew on the next connection when the server closes on the resume token", async () => {
    const { lines, line } = await ready();
    line.drop();
    await vi.advanceTimersByTimeAsync(1000);
    lines[1]!.events.open();
    lines[1]!.drop(1008, "Not authenticated");
    await vi.advanceTimersByTimeAsync(2000);
    lines[2]!.events.open();
    expect(lines[2]!.sent).toEqual([{ type: "auth", token: "token-for-ann" }]);
  });

  it("joins rooms that the session did not have, in batches of 100, and leaves those it should not have", async () => {
    const { client, lines, line } = await ready();
    line.drop();
    for (let index = 0; index < 150; index++) void client.room(`room-${index}`).join();
    await vi.advanceTimersByTimeAsync(1000);
    await lines[1]!.resumed([{ roomId: "left", epoch: "e1", seq: 4, recovered: false }]);
    expect(lines[1]!.of("room:join").map((message) => message["rooms"].length)).toEqual([100, 50]);
    expect(lines[1]!.of("room:leave").map((message) => message["roomId"])).toEqual(["left"]);
  });
});

describe("tokens", () => {
  it("are refreshed in place when they are about to end", async () => {
    let tokens = 0;
    const { client, line } = await ready({ token: async () => `token-${++tokens}` });
    line.push({ type: "auth:expiring", exp: 0 });
    await settle();
    expect(line.last("auth:refresh")).toMatchObject({ token: "token-2" });
    line.ack("auth:refresh", { status: "ok", exp: 0 });
    expect(client.state).toBe("ready");
  });

  it("that cannot be refreshed are reported, and the session lasts as long as the old one", async () => {
    const { client, line } = await ready();
    const error = vi.fn();
    client.on("error", error);
    line.push({ type: "auth:expiring", exp: 0 });
    await settle();
    line.fail("auth:refresh", "NOT_AUTHENTICATED");
    await settle();
    expect(error.mock.calls[0]![0].code).toBe("NOT_AUTHENTICATED");
    expect(client.state).toBe("ready");
  });
});
