import { afterEach, describe, expect, it, vi } from "vitest";

import { absolute, webSocket, type WebSocketClass } from "../src/transport.js";

afterEach(() => void vi.unstubAllGlobals());

class FakeWebSocket {
  static last: FakeWebSocket;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly calls: unknown[] = [];

  constructor(...made: unknown[]) {
    this.calls.push(["new", ...made]);
    FakeWebSocket.last = this;
  }

  send(text: string): void {
    this.calls.push(["send", text]);
  }

  close(code?: number, reason?: string): void {
    this.calls.push(["close", code, reason]);
  }
}

describe("the WebSocket transport", () => {
  it("offers the protocol's name and passes on what happens", () => {
    const events: unknown[] = [];
    const transport = webSocket(FakeWebSocket as unknown as WebSocketClass)("wss://example.com/ws", {
      open: () => void events.push("open"),
      message: (text) => void events.push(text),
      close: (code, reason) => void events.push([code, reason]),
    });
    const socket = FakeWebSocket.last;
    socket.onopen!();
    transport.send("out");
    socket.onmessage!({ data: "in" });
    socket.onmessage!({ data: new ArrayBuffer(8) });
    transport.close(1000, "bye");
    socket.onclose!({ code: 1006, reason: "" });
    expect(socket.calls).toEqual([["new", "wss://example.com/ws", ["nuncio.v1"]], ["send", "out"], ["close", 1000, "bye"]]);
    expect(events).toEqual(["open", "in", [1006, ""]]);
  });

  it("takes the global WebSocket where there is one", () => {
    vi.stubGlobal("WebSocket", FakeWebSocket);
    webSocket()("ws://example.com/ws", { open() {}, message() {}, close() {} });
    expect(FakeWebSocket.last.calls).toEqual([["new", "ws://example.com/ws", ["nuncio.v1"]]]);
  });

  it("resolves a path against the page, with the scheme that belongs to it", () => {
    vi.stubGlobal("location", { href: "https://example.com/chat/" });
    expect(absolute("/ws", "ws")).toBe("wss://example.com/ws");
    expect(absolute("/sse", "http")).toBe("https://example.com/sse");
    vi.stubGlobal("location", { href: "http://127.0.0.1:8080/" });
    expect(absolute("/ws?ns=/chat", "ws")).toBe("ws://127.0.0.1:8080/ws?ns=/chat");
    expect(absolute("wss://example.com/ws", "http")).toBe("https://example.com/ws");
  });
});
