/** The model server behind real sockets, with the page as the real server would serve it. For the browser tests and for work on the page. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo } from "node:net";

import { WebSocketServer } from "ws";

import { pageFiles } from "../../demo/build.mjs";
import { ModelServer } from "../model-server.js";

const TYPES: Record<string, string> = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
export const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'";

export interface Serving {
  url: string;
  port: number;
  model: ModelServer;
  /** Stops listening and cuts all connections, as a killed process does. */
  kill(): Promise<void>;
}

export async function serve(model: ModelServer, port = 0): Promise<Serving> {
  const files = new Map(Object.entries(await pageFiles()));
  const http = createServer((request, response) => void answer(files, request, response));
  const sockets = new WebSocketServer({ server: http, path: "/ws", handleProtocols: () => "nuncio.v1" });
  sockets.on("connection", (socket) => {
    const connection = model.accept({ send: (text) => socket.send(text), close: (code, reason) => socket.close(code, reason) });
    socket.on("message", (bytes) => connection.receive(String(bytes)));
    socket.on("close", (code) => connection.gone(code === 1006 ? "lost" : "goodbye"));
  });
  await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve));
  const bound = (http.address() as AddressInfo).port;
  return { url: `http://127.0.0.1:${bound}/`, port: bound, model, kill: () => kill(http, sockets) };
}

async function answer(files: Map<string, string>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === "POST" && request.url === "/demo/token") {
    let body = "";
    for await (const chunk of request) body += chunk;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ token: `token-for-${(JSON.parse(body) as { name: string }).name}` }));
    return;
  }
  const name = request.url === "/" ? "index.html" : request.url!.slice(1);
  const file = files.get(name);
  response.statusCode = file === undefined ? 404 : 200;
  response.setHeader("content-type", TYPES[name.split(".").at(-1)!] ?? "text/plain");
  response.setHeader("content-security-policy", CONTENT_SECURITY_POLICY);
  response.end(file);
}

function kill(http: Server, sockets: WebSocketServer): Promise<void> {
  for (const socket of sockets.clients) socket.terminate();
  return new Promise((resolve) => {
    http.close(() => resolve());
    http.closeAllConnections();
  });
}
