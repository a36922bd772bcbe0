// `survive` as a program of its own, or with THREAD set as a worker thread of one: `program.mjs DIST PAGE SOCKET ECHO`. Bun runs it as it is.
import { isMainThread, Worker, workerData } from "node:worker_threads";

import { survive } from "./survival.mjs";

const line = workerData?.line ?? process.argv.slice(2);
if (isMainThread && process.env.THREAD) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { line } });
  worker.on("error", (error) => {
    throw error;
  });
} else {
  const [dist, page, socket, echo] = line;
  const [client, fallback, reconnecting] = await Promise.all(
    ["index", "fallback", "reconnecting-websocket"].map((name) => import(`${dist}/${name}.js`)),
  );
  const WebSocket = globalThis.WebSocket ? undefined : (await import("ws")).default;
  const problems = await survive({ client, fallback, reconnecting, WebSocket }, { page, socket, echo }, () => console.log("cut me"));
  console.log(problems.length ? problems.join("\n") : "nothing lost, repeated or reordered");
}
