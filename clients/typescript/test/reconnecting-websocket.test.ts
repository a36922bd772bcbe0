import { type AddressInfo } from "node:net";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import WS, { WebSocketServer } from "ws";

import { ReconnectingWebSocket, type ReconnectingWebSocketOptions } from "../src/reconnecting-websocket.js";

class FakeSocket {
  static made: FakeSocket[] = [];
  static get last(): FakeSocket {
    return FakeSocket.made.at(-1)!;
  }

  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;
  onerror: (() => void) | null = null;
  binaryType = "blob";
  bufferedAmount = 0;
  protocol = "";
  extensions = "";
  readyState = 0;
  readonly sent: unknown[] = [];
  readonly closes: unknown[] = [];

  constructor(
    readonly url: string,
    readonly protocols?: string | string[],
  ) {
    FakeSocket.made.push(this);
  }

  send(data: unknown): void {
    this.sent.push(data);
  }

  close(...how: unknown[]): void {
    this.closes.push(how);
  }

  open(): void {
    this.readyState = 1;
    this.onopen!();
  }

  drop(code = 1006, reason = "", wasClean = false): void {
    this.readyState = 3;
    this.onclose?.({ code, reason, wasClean });
  }
}

const settle = () => vi.advanceTimersByTimeAsync(0);

/** A socket over fakes, and the names of its events as they come. */
async function fake(options: ReconnectingWebSocketOptions = {}, url: ConstructorParameters<typeof ReconnectingWebSocket>[0] = "ws://x/") {
  const socket = new ReconnectingWebSocket(url, { WebSocket: FakeSocket as never, random: () => 1, ...options });
  const events: string[] = [];
  for (const name of ["open", "message", "error", "close"] as const) socket.addEventListener(name, (event) => void events.push(event.type));
  await settle();
  return { socket, events };
}

describe("a reconnecting WebSocket", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    FakeSocket.made = [];
  });
  afterEach(() => void vi.useRealTimers());

  it("has the type and the constants of a WebSocket", async () => {
    const { socket } = await fake();
    const plain: WebSocket = socket;
    expect([plain.CONNECTING, plain.OPEN, plain.CLOSING, plain.CLOSED]).toEqual([0, 1, 2, 3]);
    expect(ReconnectingWebSocket.OPEN).toBe(1);
    expect(plain.url).toBe("ws://x/");
  });

  it("takes the guide's options: handlers, the first interval, the attempts allowed", async () => {
    const seen: unknown[] = [];
    const { socket } = await fake({
      onopen: () => seen.push("open"),
      onmessage: (event) => seen.push(event.data),
      onclose: (event) => seen.push(event.code),
      onerror: (event) => seen.push(event.type),
      reconnectInterval: 500,
      maxRetries: 1,
    });
    FakeSocket.last.open();
    FakeSocket.last.onmessage!({ data: "hi" });
    FakeSocket.last.onerror!();
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(499);
    expect(FakeSocket.made).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeSocket.made).toHaveLength(2);
    FakeSocket.last.drop(1006);
    expect(seen).toEqual(["open", "hi", "error", 1006, 1006]);
    expect(socket.readyState).toBe(WS.CLOSED);
  });

  it("is connecting while it waits, and closed only at the end", async () => {
    const { socket, events } = await fake();
    expect(socket.readyState).toBe(0);
    FakeSocket.last.open();
    expect(socket.readyState).toBe(1);
    FakeSocket.last.drop();
    expect(socket.readyState).toBe(0);
    await vi.advanceTimersByTimeAsync(1000);
    FakeSocket.last.open();
    socket.close(1000, "bye");
    expect(socket.readyState).toBe(2);
    expect(FakeSocket.last.closes).toEqual([[1000, "bye"]]);
    FakeSocket.last.drop(1000, "bye", true);
    expect(socket.readyState).toBe(3);
    expect(events).toEqual(["open", "close", "open", "close"]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.made).toHaveLength(2);
  });

  it("waits longer after each failure, and starts over after a connection that lasted", async () => {
    await fake();
    for (const delay of [1000, 2000, 4000]) {
      FakeSocket.last.drop();
      await vi.advanceTimersByTimeAsync(delay - 1);
      const before = FakeSocket.made.length;
      await vi.advanceTimersByTimeAsync(1);
      expect(FakeSocket.made).toHaveLength(before + 1);
    }
    FakeSocket.last.open();
    await vi.advanceTimersByTimeAsync(5000);
    FakeSocket.last.drop();
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSocket.made).toHaveLength(5);
  });

  it("queues what is sent between connections, in order, and counts its bytes", async () => {
    const { socket } = await fake();
    socket.send("é");
    socket.send(new Uint8Array(3));
    socket.send(new Blob(["1234"]));
    expect(socket.bufferedAmount).toBe(9);
    FakeSocket.last.open();
    expect(FakeSocket.last.sent).toHaveLength(3);
    expect(FakeSocket.last.sent[0]).toBe("é");
    expect(socket.bufferedAmount).toBe(0);
  });

  it("throws when the queue is full, and drops silently after the end, as a WebSocket does", async () => {
    const { socket } = await fake({ queueMax: 1 });
    socket.send("one");
    expect(() => socket.send("two")).toThrow("1 messages wait");
    socket.close();
    await settle();
    expect(() => socket.send("three")).not.toThrow();
  });

  it("refuses close codes that a script may not send", async () => {
    const { socket } = await fake();
    expect(() => socket.close(1001)).toThrow("neither 1000");
    expect(socket.readyState).toBe(0);
  });

  it.each([1000, 1008, 4001, 4100])("does not come back after %i", async (code) => {
    const { socket } = await fake();
    FakeSocket.last.open();
    FakeSocket.last.drop(code);
    expect(socket.readyState).toBe(3);
  });

  it("comes back after 1008 with a new URL where a function makes them", async () => {
    let urls = 0;
    const { socket } = await fake({}, async () => `ws://x/?token=${++urls}`);
    FakeSocket.last.open();
    FakeSocket.last.drop(1008);
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSocket.made.map((made) => made.url)).toEqual(["ws://x/?token=1", "ws://x/?token=2"]);
    expect(socket.url).toBe("ws://x/?token=2");
  });

  it("lets the application decide after which codes to come back", async () => {
    const { socket } = await fake({ shouldReconnect: (event) => event.code === 4100 });
    FakeSocket.last.drop(4100);
    expect(socket.readyState).toBe(0);
    await vi.advanceTimersByTimeAsync(1000);
    FakeSocket.last.drop(1006);
    expect(socket.readyState).toBe(3);
  });

  it("gives up on an attempt that does not open, and has one under way at a time", async () => {
    const { socket } = await fake();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(FakeSocket.made[0]!.closes).toHaveLength(1);
    socket.reconnect();
    socket.reconnect();
    await settle();
    expect(FakeSocket.made).toHaveLength(2);
    FakeSocket.made[0]!.drop();
    await vi.advanceTimersByTimeAsync(5000);
    expect(FakeSocket.made).toHaveLength(2);
  });

  it("keeps its binary type over reconnects", async () => {
    const { socket } = await fake();
    socket.binaryType = "arraybuffer";
    FakeSocket.last.open();
    FakeSocket.last.drop();
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSocket.last.binaryType).toBe("arraybuffer");
  });

  it("takes listeners away again", async () => {
    const { socket } = await fake();
    const listener = vi.fn();
    socket.addEventListener("open", listener);
    socket.removeEventListener("open", listener);
    FakeSocket.last.open();
    expect(listener).not.toHaveBeenCalled();
  });
});

describe("a reconnecting WebSocket over a real connection", () => {
  it("sends strings, ArrayBuffers, typed arrays and Blobs, negotiates a subprotocol, and returns after a cut", async () => {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "chat" });
    server.on("connection", (peer) => peer.on("message", (data, isBinary) => peer.send(data, { binary: isBinary })));
    await new Promise((resolve) => server.once("listening", resolve));
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const socket = new ReconnectingWebSocket(url, { WebSocket: WS as never, protocols: ["chat"], reconnectInterval: 1 });
    socket.binaryType = "arraybuffer";
    const received: unknown[] = [];
    const next = () => new Promise<void>((resolve) => socket.addEventListener("message", () => resolve(), { once: true }));
    socket.onmessage = (event) => received.push(typeof event.data === "string" ? event.data : [...new Uint8Array(event.data)]);

    for (const data of ["text", new Uint8Array([1, 2]).buffer, new Uint8Array([3, 4]), new Blob([new Uint8Array([5])])]) {
      const echoed = next();
      socket.send(data);
      await echoed;
    }
    expect(socket.protocol).toBe("chat");
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve, { once: true }));
    for (const peer of server.clients) peer.terminate();
    await closed;
    const echoed = next();
    socket.send("after the cut");
    await echoed;
    await vi.waitFor(() => expect(received).toEqual(["text", [1, 2], [3, 4], [5], "after the cut"]));
    socket.close();
    server.close();
  });
});
