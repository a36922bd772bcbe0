/** `survive` in a page's worker: the build makes one script of it. */
import * as fallback from "../../src/fallback.js";
import * as client from "../../src/index.js";
import * as reconnecting from "../../src/reconnecting-websocket.js";
// @ts-expect-error a plain script, for every runtime
import { survive } from "./survival.mjs";

addEventListener("message", async ({ data }: MessageEvent) => {
  const problems: string[] = await survive({ client, fallback, reconnecting }, data, () => postMessage("cut me")).catch((error: unknown) => [String(error)]);
  postMessage(problems.length ? problems.join("\n") : "nothing lost, repeated or reordered");
});
