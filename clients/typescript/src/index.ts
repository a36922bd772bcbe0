export { type BackoffOptions } from "./backoff.js";
export { NuncioError } from "./errors.js";
export type * from "./messages.js";
export { type OutboxOptions } from "./outbox.js";
export { type EventMap, type JoinOptions, type Room, type RoomEvents } from "./room.js";
export { type Origin } from "./sequence.js";
export { type Cause, Client, type ClientEvents, type ClientOptions, type State } from "./socket.js";
export { type Dial, type Transport, type TransportEvents, webSocket, type WebSocketClass } from "./transport.js";
