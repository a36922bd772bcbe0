import { Backoff, type BackoffOptions } from "./backoff.js";
import { blamesMessage, retryRule } from "./close.js";
import { Connection, type Phase, type ResumeRequest } from "./connection.js";
import { Emitter } from "./emitter.js";
import { NuncioError } from "./errors.js";
import type {
  AppEvent,
  AuthOk,
  Position,
  PresenceUpdate,
  PrivateMessage,
  Reply,
  Resumed,
  RoomReply,
  ServerMessage,
  User,
} from "./messages.js";
import { Outbox, type OutboxOptions, type Repeat } from "./outbox.js";
import { type AnyRoom, type AppEvents, type EventMap, Room, type RoomLink } from "./room.js";
import { type Dial, webSocket } from "./transport.js";
import { onWake } from "./wake.js";

/**
 * - `idle`: not started
 * - `connecting`: an attempt is under way
 * - `ready`: the session stands
 * - `waiting`: for the time of the next attempt
 * - `closed`: by the application, or for good by the server; `connect()` starts anew
 */
export type State = "idle" | "connecting" | "ready" | "waiting" | "closed";

/** Why a state was entered, where a connection's end is the reason. */
export interface Cause {
  code: number;
  reason: string;
  /** Milliseconds until the next attempt, while `waiting`. */
  delay?: number;
}

export type ClientEvents<Content> = {
  state: [state: State, cause: Cause | undefined];
  /** The session stands; `resumed` if it is the one from before. */
  ready: [session: { user: User | undefined; resumed: boolean }];
  /** The server has joined this session to a room by itself; its first message follows. */
  room: [AnyRoom];
  "message:private": [PrivateMessage<Content>];
  "presence:update": [PresenceUpdate];
  /** An error of the server that answers no call. */
  error: [NuncioError];
};

export interface ClientOptions extends BackoffOptions, OutboxOptions {
  /** The server, such as `wss://example.com/ws`; in a page also relative, such as `/ws`. */
  url: string;
  /** The token, or what fetches one: for each new session, and when one is about to end. Absent where a cookie or the URL carries it. */
  token?: string | (() => string | Promise<string>);
  /** How to connect. Default by WebSocket; see `nuncio-client/fallback` for more. */
  dial?: Dial;
  /** Milliseconds an attempt may take. Default 10,000. */
  connectTimeout?: number;
  /** Whether to come back after a close code of the application's own (4100 to 4999). Default no. */
  retryAfterClose?: (code: number, reason: string) => boolean;
}

/** Rooms that one `room:join` may name. */
const JOIN_MAX = 100;
/** Milliseconds to wait for a sign of life when the page wakes up; shorter than the heartbeat's, for someone is looking. */
const WAKE_PROBE = 5000;

/**
 * A session with a server. It comes back by itself after every cut, joins its rooms again and reads on where it was.
 *
 * ```ts
 * const client = new Client({ url: "/ws", token: () => fetchToken() });
 * const room = client.room("lobby");
 * room.on("chat:message", (message) => show(message));
 * client.connect();
 * await room.join({ history: 50 });
 * await room.send("hello");
 * ```
 */
export class Client<Events extends EventMap = EventMap, Content = unknown> extends Emitter<ClientEvents<Content>> {
  readonly #options: ClientOptions;
  readonly #backoff: Backoff;
  readonly #outbox: Outbox;
  readonly #events = new Emitter<AppEvents<Events>>();
  readonly #rooms = new Map<string, Room<Events, Content>>();
  #state: State = "idle";
  #connection: Connection | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #stopWake: (() => void) | undefined;
  #resume: string | undefined;
  #user: User | undefined;
  #sessionId: string | undefined;
  #announcedDelay = 0;
  #token: string | undefined;
  #tokenRefused = false;
  #keyPrefix = randomHex(12);
  #keys = 0;

  constructor(options: ClientOptions) {
    super();
    this.#options = options;
    this.#backoff = new Backoff(options);
    this.#outbox = new Outbox(options);
  }

  get state(): State {
    return this.#state;
  }

  /** Who this session is, once it has been authenticated. */
  get user(): User | undefined {
    return this.#user;
  }

  /** This session's public id, which others see as `from`. */
  get id(): string | undefined {
    return this.#sessionId;
  }

  /** The transport of the connection that stands. */
  get transport(): string | undefined {
    return this.#connection?.transport;
  }

  /** Connects, and stays connected until `close`. */
  connect(): void {
    if (this.#connection || this.#state === "waiting") return this.wake();
    this.#backoff.reset();
    this.#tokenRefused = false;
    this.#stopWake ??= onWake(() => this.wake());
    this.#attempt();
  }

  /** Ends the session. What still waits to be sent fails. */
  close(reason = ""): void {
    this.#resume = undefined;
    if (this.#connection) this.#connection.end(1000, reason);
    else this.#finish({ code: 1000, reason });
  }

  /** Tries at once if waiting; asks for a sign of life if connected. The client does this itself when the network or the page comes back. */
  wake(): void {
    if (this.#state === "waiting") this.#attempt();
    else this.#connection?.probe(WAKE_PROBE);
  }

  /** The room `id`, always the same object. It is not joined by this. */
  room(id: string): Room<Events, Content> {
    let room = this.#rooms.get(id);
    if (!room) this.#rooms.set(id, (room = new Room(id, this.#link)));
    return room;
  }

  /** Sends to a user or a session. Not repeated when its fate is unknown. Resolves with the number of sessions reached. */
  sendPrivate(to: string, content: Content): Promise<{ status: "ok"; sessions: number }> {
    return this.#call({ type: "message:private", to, content }, "once");
  }

  /** Asks the application's server; resolves with its answer. */
  call<Name extends keyof Events & string, Answer = unknown>(event: Name, data: Events[Name]): Promise<Answer> {
    return this.#call({ type: "event", event, data }, "once");
  }

  /** Calls `listener` at each event `name` that belongs to no room. What it returns answers the server, if it asked. */
  onEvent<Name extends keyof Events & string>(
    name: Name,
    listener: (...args: AppEvents<Events>[Name]) => unknown,
  ): () => void {
    return this.#events.on(name, listener);
  }

  get #link(): RoomLink {
    return {
      join: (room) => this.#state === "ready" && this.#join([room]),
      leave: (room) => this.#leave(room),
      call: (message, repeat) => this.#call(message, repeat),
      volatile: (message) => this.#outbox.volatile(message),
      key: () => `${this.#keyPrefix}-${++this.#keys}`,
    };
  }

  #call<Data>(message: object, repeat: Repeat): Promise<Data> {
    if (this.#state === "closed") return Promise.reject(closed("the client is closed"));
    return this.#outbox.call(message, repeat);
  }

  #attempt(): void {
    clearTimeout(this.#retryTimer);
    this.#enter("connecting");
    // A listener may have closed the client.
    if (this.#state !== "connecting") return;
    const { url, dial = webSocket(), connectTimeout = 10_000 } = this.#options;
    const token = this.#options.token === undefined ? undefined : () => this.#freshToken();
    this.#connection = new Connection(
      { url, dial, connectTimeout, token, resume: this.#resumeRequest() },
      {
        authenticated: (message) => this.#authenticated(message),
        established: (resumed) => this.#established(resumed),
        message: (message) => this.#receive(message),
        ended: (code, reason, phase) => this.#ended(code, reason, phase),
      },
    );
  }

  #resumeRequest(): ResumeRequest | undefined {
    if (this.#resume === undefined) return undefined;
    const rooms = [...this.#rooms.values()].filter((room) => room.wanted && room.position);
    return { resume: this.#resume, rooms: rooms.map((room) => ({ roomId: room.id, ...room.position! })) };
  }

  async #freshToken(): Promise<string> {
    const { token } = this.#options;
    const fresh = typeof token === "function" ? await token() : token!;
    if (this.#tokenRefused && fresh === this.#token) {
      this.#finish({ code: 1008, reason: "the token was refused, and there is no other" });
      throw closed("the token was refused");
    }
    this.#token = fresh;
    this.#tokenRefused = false;
    return fresh;
  }

  #authenticated(message: AuthOk): void {
    this.#user = message.user;
    this.#resume = message.resume;
  }

  #established(resumed: Resumed | undefined): void {
    const connection = this.#connection!;
    this.#backoff.connected();
    this.#announcedDelay = 0;
    if (resumed) this.#resume = resumed.resume;
    if (!resumed || this.#sessionId === undefined) this.#sessionId = connection.welcome?.id;
    this.#outbox.open((text) => connection.write(text), connection.welcome?.limits);
    this.#enter("ready");
    this.dispatch("ready", { user: this.#user, resumed: resumed !== undefined });
    this.#rejoin(resumed?.rooms ?? []);
    this.#outbox.release();
  }

  /** Brings the server's idea of the joined rooms, which is `resumed`, to the application's. */
  #rejoin(resumed: RoomReply[]): void {
    const done = new Set<string>();
    for (const reply of resumed) {
      const room = this.room(reply.roomId);
      if (!room.wanted) void this.#leave(room);
      // A room whose first join was cut before the reply is joined anew, for the sake of its history.
      else if (room.position) room.handleJoined(reply);
      else continue;
      done.add(reply.roomId);
    }
    const missing = [...this.#rooms.values()].filter((room) => room.wanted && !done.has(room.id));
    for (const room of missing) room.unjoin();
    this.#join(missing);
  }

  #join(rooms: AnyRoom[]): void {
    for (let first = 0; first < rooms.length; first += JOIN_MAX) {
      this.#joinBatch(rooms.slice(first, first + JOIN_MAX));
    }
  }

  #joinBatch(rooms: AnyRoom[]): void {
    const connection = this.#connection;
    const requests = rooms.map((room) => room.request());
    this.#outbox.ask<RoomReply & { rooms?: RoomReply[] }>(
      { type: "room:join", ...(requests.length === 1 ? requests[0] : { rooms: requests }) },
      (reply) => {
        for (const each of reply.rooms ?? [reply]) this.#joined(this.room(each.roomId), each, connection);
      },
      (error) => {
        for (const room of rooms) this.#refused(room, error, connection);
      },
    );
  }

  #joined(room: AnyRoom, reply: RoomReply, connection: Connection | undefined): void {
    if (reply.error) this.#refused(room, NuncioError.of(reply.error), connection);
    else room.handleJoined(reply);
  }

  #refused(room: AnyRoom, error: NuncioError, connection: Connection | undefined): void {
    const passing = ["TIMEOUT", "RATE_LIMITED", "UNAVAILABLE", "DISCONNECTED"].includes(error.code);
    if (!passing) return room.handleRemoved(error);
    // After a cut, the next connection joins all wanted rooms anyway.
    setTimeout(() => {
      if (connection === this.#connection && this.#state === "ready" && room.wanted) this.#join([room]);
    }, error.retryAfter ?? 1000);
  }

  #leave(room: AnyRoom): Promise<void> {
    if (this.#state !== "ready") return Promise.resolve();
    // A cut leaves the room too: it is not among those that are joined again.
    return new Promise((resolve) => this.#outbox.ask({ type: "room:leave", roomId: room.id }, () => resolve(), () => resolve()));
  }

  #receive(message: ServerMessage | Reply): void {
    if ("ack" in message) return this.#outbox.settle(message);
    switch (message.type) {
      case "chat:message":
      case "event":
      case "user:joined":
      case "user:left":
      case "user:typing":
      case "presence:count":
        return this.#push(message);
      case "message:private":
        return void this.dispatch(message.type, message as PrivateMessage<Content>);
      case "presence:update":
        return void this.dispatch(message.type, message);
      case "room:position":
        if (message.reason === "joined") return this.#joinedByServer(message.roomId, message);
        return this.#rooms.get(message.roomId)?.handlePosition(message);
      case "room:removed":
        return this.#rooms.get(message.roomId)?.handleRemoved(new NuncioError(message.code, "removed by the server"));
      case "auth:expiring":
        return void this.#refreshToken();
      case "reconnect":
        this.#announcedDelay = message.after;
        return;
      case "error":
        return void this.dispatch("error", NuncioError.of(message));
    }
  }

  #push(message: Parameters<AnyRoom["handlePush"]>[0]): void {
    const answers =
      message.roomId === undefined
        ? this.#events.dispatch((message as AppEvent).event, ...([(message as AppEvent).data, message] as never))
        : this.#pushToRoom(message.roomId, message);
    const { ackId } = message as AppEvent;
    const answer = answers.find((each) => each !== undefined);
    if (ackId !== undefined && answer !== undefined) void this.#answer(ackId, answer);
  }

  #pushToRoom(roomId: string, message: Parameters<AnyRoom["handlePush"]>[0]): unknown[] {
    if (!this.#rooms.has(roomId)) this.#joinedByServer(roomId, undefined);
    return this.room(roomId).handlePush(message as never);
  }

  /** The token, or the backend, put this session into a room. A room that is wanted is being joined anyway. */
  #joinedByServer(roomId: string, at: Position | undefined): void {
    const room = this.room(roomId);
    if (room.left) return void this.#leave(room);
    if (room.wanted) return;
    room.adopt(at);
    this.dispatch("room", room);
  }

  async #answer(ackId: number, answer: unknown): Promise<void> {
    const connection = this.#connection;
    const data = await answer;
    if (connection === this.#connection) connection?.write(JSON.stringify({ ack: ackId, data }));
  }

  async #refreshToken(): Promise<void> {
    const { token } = this.#options;
    if (typeof token !== "function") return;
    // The session may last until the old token ends; then close code 4003 asks for another.
    const failed = (error: NuncioError): unknown => this.dispatch("error", error);
    try {
      this.#token = await token();
      this.#outbox.ask({ type: "auth:refresh", token: this.#token }, () => {}, failed);
    } catch (error) {
      failed(new NuncioError("NOT_AUTHENTICATED", String(error)));
    }
  }

  #ended(code: number, reason: string, phase: Phase): void {
    this.#connection = undefined;
    this.#outbox.interrupt(blamesMessage(code) ? "message" : "connection");
    if (this.#state === "closed") return;
    const rule = code >= 4100 && this.#options.retryAfterClose?.(code, reason) ? "backoff" : retryRule(code);
    const waits = rule === "token" && this.#options.token === undefined ? "never" : rule;
    const resumeRefused = phase === "resuming" && rule !== "backoff";
    if (resumeRefused || rule === "token") this.#resume = undefined;
    if (rule === "token" && !resumeRefused) this.#tokenRefused = true;
    const delay = waits !== "never" || resumeRefused ? this.#backoff.next(this.#announcedDelay) : undefined;
    this.#announcedDelay = 0;
    if (delay === undefined) this.#finish({ code, reason });
    else this.#wait({ code, reason, delay });
  }

  #wait(cause: Cause): void {
    this.#retryTimer = setTimeout(() => this.#attempt(), cause.delay);
    this.#enter("waiting", cause);
  }

  #finish(cause: Cause): void {
    clearTimeout(this.#retryTimer);
    this.#backoff.disconnected();
    this.#stopWake?.();
    this.#stopWake = undefined;
    const error = closed(cause.reason || "the client is closed");
    this.#outbox.abandon(error);
    for (const room of this.#rooms.values()) room.handleClosed(error);
    this.#enter("closed", cause);
  }

  #enter(state: State, cause?: Cause): void {
    if (this.#state === state && state !== "waiting") return;
    this.#state = state;
    this.dispatch("state", state, cause);
  }
}

function closed(message: string): NuncioError {
  return new NuncioError("CLOSED", message);
}

function randomHex(bytes: number): string {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
