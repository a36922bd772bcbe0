// The reference server, with a vocabulary that shows what a client can do. Usage: node reference.mjs PORT [OPTIONS AS JSON]
//
// It prints its port once it listens; port 0 is any free one. What it does at each event is written beside it.
import { createServer } from "node:http";

import { Server } from "socket.io";
import * as msgpack from "socket.io-msgpack-parser";

const [port, options = "{}"] = process.argv.slice(2);
const { parser, ...rest } = JSON.parse(options);
const http = createServer();
const io = new Server(http, { ...rest, ...(parser === "msgpack" ? { parser: msgpack.default ?? msgpack } : {}) });

/** The `cookie` lines of the requests of each connection, in order. */
const cookies = [];
io.engine.on("headers", (_, request) => cookies.push(request.headers.cookie ?? ""));

/** What arrived of each `flaky` event, in order. */
const arrived = [];

for (const name of ["/", "/chat", "/guarded"]) {
  io.of(name).on("connection", (socket) => serve(socket));
}
// Lets in who has the word; the others learn why not.
io.of("/guarded").use((socket, next) => {
  if (socket.handshake.auth.word === "please") return next();
  next(Object.assign(new Error("say please"), { data: { missing: "word" } }));
});

function serve(socket) {
  // Who is there, and how.
  socket.on("who", (ack) =>
    ack({
      id: socket.id,
      auth: socket.handshake.auth,
      query: socket.handshake.query,
      header: socket.handshake.headers["x-test"],
      transport: socket.conn.transport.name,
      connections: io.engine.clientsCount,
      recovered: socket.recovered,
    }),
  );
  // The arguments, as the acknowledgement.
  socket.on("echo", (...args) => args.pop()(...args));
  // The arguments, as an event.
  socket.on("say", (...args) => socket.emit("said", ...args));
  // So many numbered events.
  socket.on("count", (n) => {
    for (let i = 0; i < n; i++) socket.emit("number", i);
  });
  // Asks the client, and acknowledges with its answer.
  socket.on("ask me", async (...args) => {
    const ack = args.pop();
    ack(await socket.timeout(5000).emitWithAck("question", ...args));
  });
  // Acknowledges each value from its third time on.
  socket.on("flaky", (value, ack) => {
    arrived.push(value);
    if (arrived.filter((other) => other === value).length > 2) ack(value);
  });
  socket.on("arrived", (ack) => ack(arrived));
  socket.on("cookies", (ack) => ack(cookies));
  socket.on("join", (room, ack) => ack(socket.join(room)));
  socket.on("tell", (room, ...args) => io.of(socket.nsp.name).to(room).emit("told", ...args));
  // Never acknowledges.
  socket.on("ignore", () => {});
  // Makes the client leave the namespace, or closes its connection.
  socket.on("throw me out", () => socket.disconnect());
  socket.on("hang up", () => socket.conn.close());
}

http.listen(Number(port), "127.0.0.1", () => console.log(http.address().port));
