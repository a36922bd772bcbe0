// The same conversations with a server written with `ws` and with the example that does the same in Rust: both clients must see the same.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";

/** Both servers, by name: the URL of each. */
const servers = {};
let reference;
let example;

before(async () => {
  reference = new WebSocketServer({ host: "127.0.0.1", port: 0, path: "/ws", maxPayload: 64 * 1024 });
  await once(reference, "listening");
  reference.on("connection", (ws) => {
    ws.send(JSON.stringify({ type: "welcome", id: "somebody" }));
    ws.on("message", (data, isBinary) => {
      ws.send(`Server echo: ${isBinary ? "something binary" : data}`);
    });
    ws.on("error", () => {});
  });
  servers.ws = `ws://127.0.0.1:${reference.address().port}/ws`;

  const address = `127.0.0.1:${await freePort()}`;
  example = spawn(process.env.EXAMPLE_BIN, { env: { ...process.env, NUNCIO_SERVER_LISTEN: address }, stdio: "ignore" });
  servers.nuncio = `ws://${address}/ws`;
  await listening(servers.nuncio);
});

after(async () => {
  reference.close();
  example.kill("SIGKILL");
  await once(example, "exit");
});

/** What a client sees of a conversation: one line for each event, until it is closed. */
function see(url, protocols, begin) {
  const ws = new WebSocket(url, protocols);
  const seen = [];
  const closed = new Promise((resolve) => {
    ws.on("open", () => seen.push(`open ${ws.protocol}`));
    ws.on("message", (data, isBinary) => {
      const text = data.toString().replace(/"id":"[^"]*"/, '"id":"…"');
      seen.push(`${isBinary ? "binary" : "text"} ${text.length > 100 ? text.length : text}`);
      if (text.includes("welcome")) begin(ws);
      if (text.endsWith("last")) ws.close(4000, "enough");
    });
    ws.on("pong", (data) => seen.push(`pong ${data}`));
    ws.on("error", () => {});
    ws.on("unexpected-response", (_, response) => resolve(seen.concat(`refused ${response.statusCode}`)));
    ws.on("close", (code, reason) => resolve(seen.concat(`close ${code} ${code >= 4000 ? reason : ""}`)));
  });
  return closed;
}

/** Holds the same conversation with both, and compares. */
async function same(begin, protocols = []) {
  const [node, rust] = await Promise.all([see(servers.ws, protocols, begin), see(servers.nuncio, protocols, begin)]);
  assert.deepEqual(rust, node);
  return rust;
}

test("messages, text and binary, come back in order", async () => {
  const seen = await same((ws) => {
    for (const message of ["one", Buffer.from([1, 2, 3]), "", "✓ zwei", "last"]) ws.send(message);
  });
  assert.equal(seen.length, 8);
});

test("a message in fragments is one message", () =>
  same((ws) => {
    ws.send("in ", { fin: false });
    ws.ping("between");
    ws.send("two", { fin: false });
    ws.send(" pieces, last", { fin: true });
  }));

test("pings are answered with their payload", () =>
  same((ws) => {
    ws.ping("a");
    ws.ping("");
    ws.send("last");
  }));

test("a close without a code is answered without one", () => same((ws) => ws.close()));

test("a close with a code and a reason is answered with the code", () => same((ws) => ws.close(1001, "leaving")));

test("the first subprotocol that is offered is chosen", async () => {
  const seen = await same((ws) => ws.close(1000), ["chat.v2", "chat.v1"]);
  assert.equal(seen[0], "open chat.v2");
});

test("a message that is too large is closed with 1009", async () => {
  const seen = await same((ws) => ws.send("x".repeat(64 * 1024 + 1)));
  assert.match(seen.at(-1), /^close 1009/);
});

test("text that is no UTF-8 is closed with 1007", async () => {
  const seen = await same((ws) => ws.send(Buffer.from([0xff]), { binary: false }));
  assert.match(seen.at(-1), /^close 1007/);
});

test("a frame that no client may send is closed with 1002", async () => {
  const seen = await same((ws) => ws._socket.write(Buffer.from([0xf1, 0x80, 1, 2, 3, 4])));
  assert.match(seen.at(-1), /^close 1002/);
});

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

async function listening(url) {
  const { hostname, port } = new URL(url);
  const late = Date.now() + 30_000;
  for (;;) {
    const answer = await fetch(`http://${hostname}:${port}/healthz`).catch(() => undefined);
    if (answer?.ok) return;
    assert.ok(Date.now() < late, "the example does not listen");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
