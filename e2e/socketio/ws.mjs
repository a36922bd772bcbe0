// A WebSocket server with the package `ws`, for clients that are not Node's. Usage: node ws.mjs PORT [OPTIONS AS JSON]
//
// It prints its port once it listens; port 0 is any free one. It echoes messages, and does what a text asks for.
import { WebSocketServer } from "ws";

const [port, options = "{}"] = process.argv.slice(2);
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(port),
  ...JSON.parse(options),
  handleProtocols: (offered) => (offered.has("chat.v2") ? "chat.v2" : false),
});
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket, request) => {
  const asked = {
    // What the request said, and what was agreed.
    who: () => JSON.stringify({ header: request.headers["x-test"], path: request.url, extensions: socket.extensions }),
  };
  socket.on("message", (data, isBinary) => {
    const text = isBinary ? "" : data.toString();
    if (text in asked) return socket.send(asked[text]());
    if (text.startsWith("close ")) return socket.close(Number(text.slice(6)), "as asked");
    if (text === "terminate") return socket.terminate();
    if (text.startsWith("fragments ")) return sendInFragments(socket, Number(text.slice(10)));
    socket.send(data, { binary: isBinary });
  });
});

/** One binary message of so many bytes, each the lowest byte of its place, in fragments of 10,000. */
function sendInFragments(socket, length) {
  const bytes = Buffer.from(Array.from({ length }, (_, place) => place & 255));
  for (let at = 0; at < length; at += 10_000) {
    const fin = at + 10_000 >= length;
    socket.send(bytes.subarray(at, at + 10_000), { binary: true, fin, compress: false });
  }
}
