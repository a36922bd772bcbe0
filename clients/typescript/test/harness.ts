/** Virtual network for the tests: dialed connections that a test opens, feeds and cuts by hand. */
import { vi } from "vitest";

import { Client, type ClientOptions, type Dial, type TransportEvents } from "../src/index.js";
import { type ModelConnection, ModelServer } from "./model-server.js";

/** One dialed connection, seen from the server's side. */
export class Line {
  readonly sent: Record<string, any>[] = [];
  closedWith: { code: number | undefined; reason: string | undefined } | undefined;
  readonly events: TransportEvents;

  constructor(events: TransportEvents) {
    this.events = events;
  }

  /** What was sent, without its type's name repeated: the messages of one type. */
  of(type: string): Record<string, any>[] {
    return this.sent.filter((message) => message["type"] === type);
  }

  last(type: string): Record<string, any> {
    const message = this.of(type).at(-1);
    if (!message) throw new Error(`no ${type} among ${JSON.stringify(this.sent)}`);
    return message;
  }

  push(message: object): void {
    this.events.message(JSON.stringify(message));
  }

  ack(type: string, data: object): void {
    this.push({ ack: this.last(type)["id"], data });
  }

  fail(type: string, code: string, more: object = {}): void {
    this.push({ ack: this.last(type)["id"], error: { code, message: code, ...more } });
  }

  drop(code = 1006, reason = ""): void {
    this.events.close(code, reason);
  }

  welcome(limits: object = {}): void {
    this.push({
      type: "welcome",
      id: "session-1",
      protocol: 1,
      heartbeat: { interval: 30_000, timeout: 20_000 },
      limits: { messageBytes: 65_536, rooms: 100, ratePerSecond: 0, burst: 0, historyMax: 100, ...limits },
      server: "test",
    });
  }

  /** Opens, welcomes and accepts the token. */
  async accept(resume = "resume-1", limits: object = {}): Promise<void> {
    this.events.open();
    this.welcome(limits);
    this.push({ type: "auth_ok", user: { sub: "ann" }, exp: 0, resume });
    await settle();
  }

  /** Opens, welcomes and takes the session over. */
  async resumed(rooms: object[], resume = "resume-2"): Promise<void> {
    this.events.open();
    this.welcome();
    this.push({ type: "resumed", resume, rooms });
    await settle();
  }
}

/** Lets promises that are settled be acted on. */
export async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

/** A client whose every dial makes a `Line`. With `random: () => 1` each delay is its ceiling. */
export function dialed<Events extends Record<string, unknown> = Record<string, unknown>>(
  options: Partial<ClientOptions> = {},
): { client: Client<Events>; lines: Line[] } {
  const lines: Line[] = [];
  const dial: Dial = (_url, events) => {
    const line = new Line(events);
    lines.push(line);
    return {
      name: "test",
      send: (text) => line.sent.push(JSON.parse(text)),
      close: (code, reason) => (line.closedWith = { code, reason }),
    };
  };
  const client = new Client<Events>({ url: "ws://test/ws", token: () => "token-for-ann", random: () => 1, dial, ...options });
  return { client, lines };
}

/** A started client with a session. */
export async function ready(options: Partial<ClientOptions> = {}): Promise<{ client: Client; lines: Line[]; line: Line }> {
  const { client, lines } = dialed<Record<string, unknown>>(options);
  client.connect();
  await settle();
  await lines[0]!.accept();
  return { client, lines, line: lines[0]! };
}

/** A network between clients and a model server: both directions take `latency` ms, and any connection can be cut. */
export class ModelNetwork {
  readonly server = new ModelServer();
  readonly cables = new Set<{ cut(code?: number): void }>();
  readonly latency: () => number;
  up = true;

  constructor(latency: () => number = () => 5) {
    this.latency = latency;
  }

  dial: Dial = (_url, events) => {
    let connection: ModelConnection | undefined;
    let open = true;
    const inOrder = this.#wire(() => open);
    const back = this.#wire(() => open);
    const cable = {
      cut: (code = 1006) => {
        if (!open) return;
        open = false;
        this.cables.delete(cable);
        connection?.gone("lost");
        setTimeout(() => events.close(code, ""), this.latency());
      },
    };
    inOrder(() => {
      if (!this.up) return cable.cut();
      this.cables.add(cable);
      back(() => events.open());
      connection = this.server.accept({
        send: (text) => back(() => events.message(text)),
        close: (code) => cable.cut(code),
      });
    });
    return {
      name: "model",
      send: (text) => inOrder(() => connection?.receive(text)),
      close: () => {
        open = false;
        this.cables.delete(cable);
        connection?.gone("goodbye");
      },
    };
  };

  /** A direction that keeps order and delivers nothing once cut. */
  #wire(isOpen: () => boolean): (deliver: () => void) => void {
    let free = 0;
    return (deliver) => {
      free = Math.max(free, Date.now() + this.latency());
      setTimeout(() => isOpen() && deliver(), free - Date.now());
    };
  }
}
