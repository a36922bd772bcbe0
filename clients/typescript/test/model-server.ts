/**
 * A small server that speaks the native protocol, without sockets or clocks: rooms with history, sessions that can be
 * resumed, presence, typing, private messages. Tests cut it off, restart it and make it forget.
 */

/** What the server needs of a connection. */
export interface Peer {
  send(text: string): void;
  close(code: number, reason: string): void;
}

interface Publication {
  type: "chat:message" | "event";
  roomId: string;
  seq: number;
  [field: string]: unknown;
}

interface ModelRoom {
  epoch: string;
  seq: number;
  log: Publication[];
  keys: Map<string, object>;
}

/** A client's connection and its memberships, which outlive the connection. */
interface Session {
  id: string;
  resume: string;
  user: string;
  rooms: Set<string>;
  connection: ModelConnection | undefined;
}

export interface ModelOptions {
  /** Messages that a room keeps. */
  historyMax?: number;
  ratePerSecond?: number;
  burst?: number;
}

export class ModelServer {
  readonly rooms = new Map<string, ModelRoom>();
  readonly sessions = new Map<string, Session>();
  readonly connections = new Set<ModelConnection>();
  readonly options: Required<ModelOptions>;
  #names = 0;

  constructor(options: ModelOptions = {}) {
    this.options = { historyMax: 100, ratePerSecond: 1000, burst: 1000, ...options };
  }

  accept(peer: Peer): ModelConnection {
    const connection = new ModelConnection(this, peer);
    this.connections.add(connection);
    connection.send({
      type: "welcome",
      id: this.name("s"),
      protocol: 1,
      heartbeat: { interval: 30_000, timeout: 20_000 },
      limits: { messageBytes: 65_536, rooms: 100, ...this.options },
      server: "model",
    });
    return connection;
  }

  name(prefix: string): string {
    return `${prefix}${++this.#names}`;
  }

  room(id: string): ModelRoom {
    let room = this.rooms.get(id);
    if (!room) this.rooms.set(id, (room = { epoch: this.name("epoch"), seq: 0, log: [], keys: new Map() }));
    return room;
  }

  /** Who is online in a room. */
  users(roomId: string): string[] {
    const present = [...this.sessions.values()].filter((session) => session.rooms.has(roomId));
    return [...new Set(present.map((session) => session.user))].sort();
  }

  publish(type: "chat:message" | "event", roomId: string, fields: object): object {
    const room = this.room(roomId);
    const publication = { type, id: this.name("m"), seq: ++room.seq, roomId, ts: Date.now(), ...fields } as Publication;
    room.log.push(publication);
    if (room.log.length > this.options.historyMax) room.log.shift();
    this.emit(roomId, publication);
    return { status: "ok", id: publication["id"], epoch: room.epoch, seq: room.seq, ts: publication["ts"] };
  }

  emit(roomId: string, message: object, except?: Session): void {
    for (const session of this.sessions.values()) {
      if (session !== except && session.rooms.has(roomId)) session.connection?.send(message);
    }
  }

  /** Forgets all sessions, as a restart does; durable rooms stay. */
  forgetSessions(): void {
    this.sessions.clear();
  }

  sessionByResume(resume: string): Session | undefined {
    return [...this.sessions.values()].find((session) => session.resume === resume);
  }

  /** The room's head, and what to send of it. */
  replay(roomId: string, since: { epoch: string; seq: number } | undefined, history: number): [object, Publication[]] {
    const room = this.room(roomId);
    const at = { roomId, epoch: room.epoch, seq: room.seq, members: this.users(roomId).length };
    if (!since) return [{ ...at, recovered: true }, history > 0 ? room.log.slice(-history) : []];
    const missed = room.log.filter((publication) => publication.seq > since.seq);
    const recovered = since.epoch === room.epoch && missed.length === room.seq - since.seq;
    return [{ ...at, recovered }, recovered ? missed : []];
  }
}

type Fields = Record<string, any>;

export class ModelConnection {
  readonly #server: ModelServer;
  readonly #peer: Peer;
  session: Session | undefined;

  constructor(server: ModelServer, peer: Peer) {
    this.#server = server;
    this.#peer = peer;
  }

  send(message: object): void {
    this.#peer.send(JSON.stringify(message));
  }

  close(code: number, reason: string): void {
    this.gone("lost");
    this.#peer.close(code, reason);
  }

  /** The connection is over; a session whose client said goodbye ends with it. */
  gone(how: "lost" | "goodbye"): void {
    this.#server.connections.delete(this);
    const session = this.session;
    if (session?.connection !== this) return;
    session.connection = undefined;
    if (how === "goodbye") {
      for (const roomId of [...session.rooms]) this.#leave(session, roomId);
      this.#server.sessions.delete(session.id);
    }
  }

  receive(text: string): void {
    const message: Fields = JSON.parse(text);
    if (message["type"] === "ping") return this.send({ type: "pong" });
    if (this.session) this.#call(this.session, message);
    else this.#first(message);
  }

  #first(message: Fields): void {
    if (message["type"] === "resume") return this.#resume(message);
    const token = /^token-for-(.*)$/s.exec(String(message["token"]));
    if (message["type"] !== "auth" || !token) return this.close(1008, "Authentication failed");
    const session = { id: this.#server.name("s"), resume: this.#server.name("secret"), user: token[1]!, rooms: new Set<string>(), connection: this };
    this.#server.sessions.set(session.id, session);
    this.session = session;
    this.send({ type: "auth_ok", user: { sub: session.user }, exp: 0, resume: session.resume });
  }

  #resume(message: Fields): void {
    const session = this.#server.sessionByResume(message["resume"]);
    if (!session) return this.send({ type: "error", code: "NOT_FOUND", message: "no such session" });
    session.connection?.close(4001, "Resumed elsewhere");
    session.connection = this;
    session.resume = this.#server.name("secret");
    this.session = session;
    const positions = new Map((message["rooms"] as Fields[]).map((room) => [room["roomId"], room]));
    const replays = [...session.rooms].map((roomId) => {
      const since = positions.get(roomId);
      return this.#server.replay(roomId, { epoch: since?.["epoch"] ?? "", seq: since?.["seq"] ?? 0 }, 0);
    });
    this.send({ type: "resumed", resume: session.resume, rooms: replays.map(([at]) => at) });
    for (const [, missed] of replays) for (const publication of missed) this.send(publication);
  }

  #call(session: Session, message: Fields): void {
    const room = message["roomId"] as string;
    switch (message["type"]) {
      case "room:join":
        return this.#join(session, message);
      case "room:leave":
        this.#leave(session, room);
        return this.#reply(message, { status: "ok" });
      case "chat:message":
        return this.#publish(session, message, { content: message["content"] });
      case "event":
        return this.#publish(session, message, { event: message["event"], data: message["data"] });
      case "typing:start":
      case "typing:stop":
        return this.#server.emit(room, { type: "user:typing", roomId: room, userId: session.user, typing: message["type"] === "typing:start" }, session);
      case "presence:get":
        return this.#reply(message, { count: this.#server.users(room).length, users: this.#server.users(room).map((userId) => ({ userId, sessions: 1 })) });
      case "history:get":
        return this.#history(message);
      case "message:private":
        return this.#private(session, message);
      case "auth:refresh":
        return this.#reply(message, { status: "ok", exp: 0 });
      default:
        return this.#refuse(message, "UNKNOWN_TYPE", `Unknown type ${message["type"]}`);
    }
  }

  #join(session: Session, message: Fields): void {
    const requests = (message["rooms"] ?? [message]) as Fields[];
    const replays = requests.map((request) => {
      const roomId = request["roomId"] as string;
      if (roomId.startsWith("secret")) return [{ roomId, error: { code: "FORBIDDEN", message: `no right to join ${roomId}` } }, []] as const;
      const isFirst = !this.#server.users(roomId).includes(session.user);
      session.rooms.add(roomId);
      if (isFirst) this.#server.emit(roomId, { type: "user:joined", roomId, userId: session.user }, session);
      return this.#server.replay(roomId, request["since"], request["history"] ?? 0);
    });
    const [first] = replays[0]!;
    if (message["rooms"]) this.#reply(message, { rooms: replays.map(([at]) => at) });
    else if ("error" in first) this.#refuse(message, "FORBIDDEN", (first.error as Fields)["message"]);
    else this.#reply(message, first);
    for (const [, missed] of replays) for (const publication of missed) this.send(publication);
  }

  #leave(session: Session, roomId: string): void {
    session.rooms.delete(roomId);
    if (!this.#server.users(roomId).includes(session.user)) this.#server.emit(roomId, { type: "user:left", roomId, userId: session.user });
  }

  #publish(session: Session, message: Fields, fields: object): void {
    const roomId = message["roomId"] as string;
    if (!session.rooms.has(roomId)) return this.#refuse(message, "FORBIDDEN", `not in ${roomId}`);
    const keys = this.#server.room(roomId).keys;
    const key = message["idempotencyKey"] as string | undefined;
    const answer = keys.get(key ?? "") ?? this.#server.publish(message["type"], roomId, { userId: session.user, ...fields });
    if (key !== undefined) keys.set(key, answer);
    this.#reply(message, answer);
  }

  #history(message: Fields): void {
    const { epoch, seq, log } = this.#server.room(message["roomId"]);
    const before = log.filter((publication) => publication.seq < (message["before"] ?? Infinity));
    this.#reply(message, { epoch, seq, messages: before.slice(-message["limit"]) });
  }

  #private(session: Session, message: Fields): void {
    const targets = [...this.#server.sessions.values()].filter((each) => each.user === message["to"] || each.id === message["to"]);
    for (const target of targets) {
      target.connection?.send({ type: "message:private", from: session.id, fromUser: session.user, content: message["content"], ts: Date.now() });
    }
    this.#reply(message, { status: "ok", sessions: targets.length });
  }

  #reply(message: Fields, data: object): void {
    if (message["id"] !== undefined) this.send({ ack: message["id"], data });
  }

  #refuse(message: Fields, code: string, text: string): void {
    if (message["id"] === undefined) this.send({ type: "error", code, message: text });
    else this.send({ ack: message["id"], error: { code, message: text } });
  }
}
