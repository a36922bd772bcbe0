import { io } from "socket.io-client";

import type { Dial, TransportEvents } from "../src/index.js";

/** One message of the native protocol. */
interface Message {
  type?: string;
  id?: number | string;
  token?: string;
  [field: string]: unknown;
}

/** Where the two protocols have different words. */
const SENT: Record<string, string> = { "chat:message": "message:send" };
const RECEIVED: Record<string, string> = { "message:new": "chat:message", "server:reconnect": "reconnect" };
/** What the server itself says under the same name in both. */
const SAME = ["message:private", "user:joined", "user:left", "user:typing", "presence:update", "presence:count", "room:position", "room:removed", "auth:expiring", "error"];

/** Milliseconds until the server's answer is given up; the client asks again sooner. */
const ACK_TIMEOUT = 30_000;

/**
 * Dials by the official Socket.IO client: what the page's client says in the native protocol goes out as the events that stand for it, and what comes
 * is told as if it were native. Socket.IO has no resume, so the client joins its rooms anew, from where it was.
 */
export const socketIo: Dial = (_url, events) => {
  const connection = new SocketIoConnection(events);
  // The caller has its transport in hand before it is told that it is open.
  queueMicrotask(() => events.open());
  return { name: "Socket.IO", send: (text) => connection.send(JSON.parse(text) as Message), close: () => connection.close() };
};

class SocketIoConnection {
  readonly #events: TransportEvents;
  #socket: ReturnType<typeof io> | undefined;
  #isOver = false;

  constructor(events: TransportEvents) {
    this.#events = events;
  }

  send({ type, id, ...fields }: Message): void {
    if (type === "auth") return this.#connect(fields.token ?? "");
    if (type === "ping") return this.#tell({ type: "pong" });
    if (type === undefined) return;
    const event = SENT[type] ?? type;
    if (id === undefined) return void this.#socket?.emit(event, fields);
    this.#socket?.timeout(ACK_TIMEOUT).emit(event, fields, (late: Error | null, answer: Record<string, unknown>) => {
      if (!late) this.#answer(id, answer);
    });
  }

  close(): void {
    this.#isOver = true;
    this.#socket?.disconnect();
  }

  #connect(token: string): void {
    // The page's client comes back by itself, with its own pauses.
    const socket = (this.#socket = io({ path: location.pathname.replace(/[^/]*$/, "socket.io/"), auth: { token }, reconnection: false, forceNew: true }));
    socket.on("connect", () => {
      this.#tell({ type: "welcome", id: socket.id, protocol: 1 });
      this.#tell({ type: "auth_ok", user: { sub: subjectOf(token) } });
    });
    socket.on("connect_error", (error: Error & { data?: { code?: string } }) => {
      this.#end(error.data?.code === "NOT_AUTHENTICATED" ? 1008 : 1006, error.message);
    });
    socket.on("disconnect", (reason) => this.#end(reason === "io server disconnect" ? 1008 : 1006, reason));
    socket.onAny((name: string, ...args: unknown[]) => this.#receive(name, args));
  }

  #receive(name: string, args: unknown[]): void {
    const type = RECEIVED[name] ?? (SAME.includes(name) ? name : undefined);
    if (type !== undefined) this.#tell({ type, ...(args[0] as object) });
    else this.#tell({ type: "event", event: name, data: args.length === 1 ? args[0] : args });
  }

  #answer(id: number | string, answer: Record<string, unknown>): void {
    const { status, ...error } = answer;
    this.#tell(status === "error" ? { ack: id, error } : { ack: id, data: answer });
  }

  #tell(message: Record<string, unknown>): void {
    if (!this.#isOver) this.#events.message(JSON.stringify(message));
  }

  #end(code: number, reason: string): void {
    if (this.#isOver) return;
    this.close();
    this.#events.close(code, reason);
  }
}

/** Whose token it is; the server has checked it. */
function subjectOf(token: string): string {
  const [, claims = ""] = token.split(".");
  const bytes = Uint8Array.from(atob(claims.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  return (JSON.parse(new TextDecoder().decode(bytes)) as { sub: string }).sub;
}
