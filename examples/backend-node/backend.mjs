// A chat's backend: it decides by nuncio's hooks, is told what happens, and speaks by the API. Node's own modules only.
//
//     node backend.mjs        starts this backend, and the server beside it: `nuncio` from the PATH, or what NUNCIO names

import { spawn } from "node:child_process";
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const [host, port] = (process.env.BACKEND ?? "127.0.0.1:9000").split(":");
const API = process.env.API ?? "http://127.0.0.1:8080/api/v1";
const HOOK_SECRET = "change me: what nuncio signs its hooks with"; // the same as in nuncio.toml
const API_KEY = "change-me-what-this-backend-shows-the-API";
const sessions = new Map([["session-of-ann", "ann"], ["session-of-bob", "bob"]]); // yours: a database, or the cookies of your site
const seen = new Set(); // ids of events that were handled; yours: a table

const hooks = {
  connect({ token }) {
    const user = sessions.get(token);
    if (!user) return { allow: false, message: "Log in first" };
    const everything = ["join", "publish", "presence", "history", "typing"];
    return { allow: true, user: { sub: user }, grants: [{ rooms: "*", allow: everything }], private: ["*"], join: ["lobby"] };
  },

  join({ roomId, user }) {
    return roomId === "staff" && user !== "ann" ? { allow: false, message: "Staff only" } : { allow: true };
  },

  publish({ content }) {
    return typeof content === "string" && content.includes("damn")
      ? { allow: true, content: content.replaceAll("damn", "****") }
      : { allow: true };
  },

  call({ event, data }) {
    return event === "add"
      ? { answer: data.reduce((sum, number) => sum + number, 0) }
      : { allow: false, code: "NOT_FOUND", message: "No such call" };
  },

  async events({ events }) {
    for (const event of events) {
      if (seen.has(event.id)) continue; // told again, because the answer of the first time was lost
      if (event.type === "connected") {
        await api("publish", { roomId: "lobby", content: `Welcome, ${event.user}!`, idempotencyKey: event.id });
      }
      if (event.type === "disconnected") console.log("disconnected", event.user, event.code);
      seen.add(event.id);
    }
    return {};
  },
};

async function api(command, body) {
  const headers = { Authorization: `Bearer ${API_KEY}`, "Content-Type": "application/json" };
  const answer = await fetch(`${API}/${command}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${command}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

// `t=<seconds>,v1=<hex>`: HMAC-SHA256 over the seconds, a dot and the body; not older than five minutes.
function isSigned(header = "", body) {
  const { t = "", v1 = "" } = Object.fromEntries(header.split(",").map((part) => part.split("=")));
  const wanted = createHmac("sha256", HOOK_SECRET).update(`${t}.`).update(body).digest();
  const given = Buffer.from(v1, "hex");
  return given.length === wanted.length && timingSafeEqual(given, wanted) && Math.abs(Date.now() / 1000 - t) < 300;
}

const backend = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (!isSigned(request.headers["nuncio-signature"], body)) return response.writeHead(401).end();
  try {
    const answer = await hooks[request.headers["nuncio-hook"]](JSON.parse(body));
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
  } catch (error) {
    console.error(error.message); // nuncio asks, or tells, again
    response.writeHead(500).end();
  }
});

backend.listen(Number(port), host, () => {
  const config = fileURLToPath(new URL("nuncio.toml", import.meta.url));
  const server = spawn(process.env.NUNCIO ?? "nuncio", ["serve", "--config", config], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.kill("SIGTERM"));
  server.once("exit", (code) => process.exit(code ?? 1));
});
