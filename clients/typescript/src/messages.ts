/** The messages of the native protocol, version 1, as the wire has them. */

/** A place in a room's sequence. `seq` counts from 1 without gaps within one `epoch`. */
export interface Position {
  epoch: string;
  seq: number;
}

/** A message that everyone in a room gets, its sender too. `ts` is milliseconds since the Unix epoch. */
export interface ChatMessage<Content = unknown> {
  type: "chat:message";
  id: string;
  roomId: string;
  seq: number;
  epoch?: string;
  /** Absent where the application's backend is the author. */
  userId?: string;
  content: Content;
  ts: number;
}

/** An application's own event. With a `seq` it is part of its room's sequence, without one it is not stored. */
export interface AppEvent<Name extends string = string, Data = unknown> {
  type: "event";
  event: Name;
  data: Data;
  roomId?: string;
  seq?: number;
  epoch?: string;
  id?: string;
  ts?: number;
  userId?: string;
  /** Set when the server asks for an answer. */
  ackId?: number;
}

/** A message to one user or session. `from` is the sender's session, `fromUser` the user; both are absent where it is the backend. */
export interface PrivateMessage<Content = unknown> {
  type: "message:private";
  from?: string;
  fromUser?: string;
  content: Content;
  ts: number;
}

export interface UserJoined {
  type: "user:joined";
  roomId: string;
  userId: string;
}

export interface UserLeft {
  type: "user:left";
  roomId: string;
  userId: string;
}

export interface UserTyping {
  type: "user:typing";
  roomId: string;
  userId: string;
  typing: boolean;
}

export interface PresenceUpdate {
  type: "presence:update";
  userId: string;
  status: "online" | "offline";
}

/** Instead of joins and leaves in rooms too large to announce each. */
export interface PresenceCount {
  type: "presence:count";
  roomId: string;
  count: number;
}

export interface Welcome {
  type: "welcome";
  id: string;
  protocol: number;
  /** Milliseconds. */
  heartbeat: { interval: number; timeout: number };
  limits: Limits;
  server: string;
  resume?: string;
}

export interface Limits {
  messageBytes: number;
  rooms: number;
  ratePerSecond: number;
  burst: number;
  historyMax: number;
}

export interface User {
  sub: string;
  info?: unknown;
}

export interface AuthOk {
  type: "auth_ok";
  user: User;
  exp?: number;
  resume: string;
}

export interface RoomReply extends Position {
  roomId: string;
  recovered?: boolean;
  members?: number;
  error?: WireError;
}

export interface Resumed {
  type: "resumed";
  resume: string;
  rooms: RoomReply[];
}

export interface RoomPosition extends Position {
  type: "room:position";
  roomId: string;
  recovered: boolean;
  reason: string;
}

export interface RoomRemoved {
  type: "room:removed";
  roomId: string;
  code: string;
}

export interface WireError {
  code: string;
  message: string;
  /** Milliseconds to wait, with `RATE_LIMITED`. */
  retryAfter?: number;
}

export type ServerMessage =
  | Welcome
  | AuthOk
  | Resumed
  | { type: "auth:expiring"; exp: number }
  | ChatMessage
  | AppEvent
  | PrivateMessage
  | UserJoined
  | UserLeft
  | UserTyping
  | PresenceUpdate
  | PresenceCount
  | RoomPosition
  | RoomRemoved
  | ({ type: "error" } & WireError)
  | { type: "reconnect"; after: number; reason: string }
  | { type: "pong" };

/** The one reply to a call that carried an `id`. */
export interface Reply {
  ack: string | number;
  data?: unknown;
  error?: WireError;
}

/** What the server answers once a publication is stored. */
export interface Published extends Position {
  status: "ok";
  id: string;
  ts: number;
}

/** A page of `presence:get`. */
export interface PresencePage {
  /** Users in the room, on all pages. */
  count: number;
  /** Absent with `limit: 0`. */
  users?: { userId: string; sessions: number }[];
  /** Goes into `after` for the next page; absent on the last. */
  next?: string;
}

/** A page of `history:get`, oldest first, with the room's position. */
export interface HistoryPage<Content = unknown> extends Position {
  messages: (ChatMessage<Content> | AppEvent)[];
}
