import { Emitter } from "./emitter.js";
import { NuncioError } from "./errors.js";
import type {
  AppEvent,
  ChatMessage,
  HistoryPage,
  Position,
  PresenceCount,
  PresencePage,
  Published,
  RoomPosition,
  RoomReply,
  UserJoined,
  UserLeft,
  UserTyping,
} from "./messages.js";
import type { Repeat } from "./outbox.js";
import { type Origin, Sequence } from "./sequence.js";

/** An application's events: names and the types of their data. */
export type EventMap = Record<string, unknown>;

export type RoomEvents<Content> = {
  /** A message, once and in order. */
  "chat:message": [message: ChatMessage<Content>, origin: Origin];
  "user:joined": [UserJoined];
  "user:left": [UserLeft];
  "user:typing": [UserTyping];
  "presence:count": [PresenceCount];
  /** The room is joined, for the first time or again. */
  joined: [RoomReply];
  /** What was missed is on its way: `missed` publications follow. */
  recovered: [missed: number];
  /** Messages were lost between `from`, the last that was read, and `to`, where the room goes on. */
  gap: [reason: string, from: Position | undefined, to: Position];
  /** The server ended the membership, or refused it on the way back. */
  removed: [code: string];
};

export type AppEvents<Events extends EventMap> = {
  [Name in keyof Events & string]: [data: Events[Name], message: AppEvent<Name, Events[Name]>];
};

export interface JoinOptions {
  /** The newest messages to get, at most the server's `historyMax`. Default none. */
  history?: number;
  /** A position kept from an earlier life of the application: what came after it follows. */
  since?: Position;
}

/** What a room needs of its client. */
export interface RoomLink {
  join(room: AnyRoom): void;
  leave(room: AnyRoom): Promise<void>;
  call<Data>(message: object, repeat: Repeat): Promise<Data>;
  volatile(message: object): void;
  /** A key unique to one message, under which repeats are recognised. */
  key(): string;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- whatever the application's types are
export type AnyRoom = Room<any, any>;

/** Typing ends by itself after 6 s on the server, so it is announced anew in good time. */
const TYPING_INTERVAL = 3000;

/** A room of one client. It stays joined over reconnects until it is left. */
export class Room<Events extends EventMap = EventMap, Content = unknown> extends Emitter<RoomEvents<Content>> {
  readonly id: string;
  readonly #link: RoomLink;
  readonly #events = new Emitter<AppEvents<Events>>();
  #sequence = new Sequence();
  #membership: "none" | "wanted" | "joined" | "left" = "none";
  #history = 0;
  #waiting: { resolve: (reply: RoomReply) => void; reject: (error: NuncioError) => void }[] = [];
  #typingAt = -Infinity;

  /** @internal Use `client.room(id)`. */
  constructor(id: string, link: RoomLink) {
    super();
    this.id = id;
    this.#link = link;
  }

  /** The last publication read. An application may keep it and join with it as `since` after a restart. */
  get position(): Position | undefined {
    return this.#sequence.position;
  }

  get joined(): boolean {
    return this.#membership === "joined";
  }

  /** Joins, now or at the next connection; resolves once the server has agreed, rejects with its refusal. */
  join(options: JoinOptions = {}): Promise<RoomReply> {
    if (this.joined) return Promise.resolve({ roomId: this.id, epoch: "", seq: 0, ...this.position });
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (this.#membership === "wanted") return;
      this.#membership = "wanted";
      this.#history = options.history ?? 0;
      if (options.since) this.#sequence.restore(options.since);
      this.#link.join(this);
    });
  }

  leave(): Promise<void> {
    this.#end("left", new NuncioError("CLOSED", `left ${this.id}`));
    return this.#link.leave(this);
  }

  /** Publishes a message. Resolves once it is stored; until then it is sent again, under one key, so that it counts once. */
  send(content: Content): Promise<Published> {
    this.#typingAt = -Infinity;
    return this.#call({ type: "chat:message", content, idempotencyKey: this.#link.key() }, "repeatable");
  }

  /** Publishes an event of the application's own, as `send` does a message. */
  emit<Name extends keyof Events & string>(event: Name, data: Events[Name]): Promise<Published> {
    return this.#call({ type: "event", event, data, idempotencyKey: this.#link.key() }, "repeatable");
  }

  /** Calls `listener` at each event `name` of the application; returns what takes it away again. */
  onEvent<Name extends keyof Events & string>(
    name: Name,
    listener: (...args: AppEvents<Events>[Name]) => unknown,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /** Tells the others that the user is typing; may be called at each key press. */
  startTyping(): void {
    if (Date.now() - this.#typingAt < TYPING_INTERVAL) return;
    this.#typingAt = Date.now();
    this.#link.volatile({ type: "typing:start", roomId: this.id });
  }

  stopTyping(): void {
    if (this.#typingAt === -Infinity) return;
    this.#typingAt = -Infinity;
    this.#link.volatile({ type: "typing:stop", roomId: this.id });
  }

  /** Who is here, a page at a time; with `limit: 0` only how many. */
  presence(page: { after?: string; limit?: number } = {}): Promise<PresencePage> {
    return this.#call({ type: "presence:get", ...page }, "repeatable");
  }

  /** Earlier messages in order, a page at a time. */
  history(page: { before?: number; after?: number; limit?: number } = {}): Promise<HistoryPage<Content>> {
    return this.#call({ type: "history:get", ...page }, "repeatable");
  }

  /** @internal */
  get wanted(): boolean {
    return this.#membership === "wanted" || this.joined;
  }

  /** @internal The application has left this room, and does not want to be brought back. */
  get left(): boolean {
    return this.#membership === "left";
  }

  /** @internal The part of a `room:join` that concerns this room. */
  request(): object {
    const since = this.#sequence.position;
    return { roomId: this.id, ...(since ? { since } : this.#history ? { history: this.#history } : {}) };
  }

  /** @internal The server has joined this room, or joined it again. */
  handleJoined(reply: RoomReply): void {
    if (!this.wanted) return;
    const before = this.#sequence.position;
    this.#membership = "joined";
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(reply);
    this.dispatch("joined", reply);
    if (!before) this.#sequence.begin(reply, this.#history);
    else this.#goOn({ ...reply, recovered: reply.recovered ?? false });
  }

  /** @internal The server's word on whether this room goes on without a hole. Before a join is answered it says nothing new. */
  handlePosition(at: RoomPosition): void {
    if (this.joined) this.#goOn(at);
  }

  #goOn(at: Position & { recovered: boolean; reason?: string }): void {
    if (at.recovered) {
      const missed = this.#sequence.recover(at);
      if (missed > 0) this.dispatch("recovered", missed);
    } else {
      const from = this.position;
      this.#sequence.skip(at);
      this.dispatch("gap", at.reason ?? "history does not reach back far enough", from, { epoch: at.epoch, seq: at.seq });
    }
  }

  /** @internal */
  handleRemoved(error: NuncioError): void {
    if (!this.wanted) return;
    this.#end("none", error);
    this.dispatch("removed", error.code);
  }

  /** @internal The server joined this session by itself, at this position. */
  adopt(at: Position | undefined): void {
    this.#membership = "joined";
    if (at) this.#sequence.begin(at, 0);
  }

  /** @internal A new session is not in this room: what may come before the join is answered will come again after it. */
  unjoin(): void {
    this.#membership = "wanted";
  }

  /** @internal The client gave up. The room stays wanted, should it connect again. */
  handleClosed(error: NuncioError): void {
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }

  /** @internal */
  handlePush(message: ChatMessage<Content> | AppEvent | UserJoined | UserLeft | UserTyping | PresenceCount): unknown[] {
    if (!this.joined) return [];
    let origin: Origin = "live";
    if ("seq" in message && message.seq !== undefined) {
      const from = this.position;
      const verdict = this.#sequence.accept(message.seq, message.epoch);
      if (verdict === "repeated") return [];
      if (verdict === "after-gap") this.dispatch("gap", "a number is missing", from, this.position!);
      origin = this.#sequence.origin(message.seq);
    }
    if (message.type === "event") return this.#dispatchEvent(message);
    if (message.type === "chat:message") return this.dispatch(message.type, message, origin);
    return this.dispatch(message.type, message as never);
  }

  #dispatchEvent(message: AppEvent): unknown[] {
    return this.#events.dispatch(message.event, ...([message.data, message] as never));
  }

  #call<Data>(message: object, repeat: Repeat): Promise<Data> {
    return this.#link.call({ roomId: this.id, ...message }, repeat);
  }

  #end(membership: "none" | "left", error: NuncioError): void {
    this.#membership = membership;
    this.#sequence = new Sequence();
    this.handleClosed(error);
  }
}
