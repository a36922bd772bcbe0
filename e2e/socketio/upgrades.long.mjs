// Ten thousand upgrades from polling to WebSocket under traffic, twice. `SERVER_BIN` names the program; takes some minutes.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { io } from "socket.io-client";

import { Nuncio } from "../browser/nuncio.mjs";

const UPGRADES = Number(process.env.UPGRADES ?? 10_000);
/** Clients that upgrade at the same time. */
const AT_ONCE = 50;
/** Messages each way after the upgrade. */
const AFTERWARDS = 5;
/** Milliseconds to wait for what must come. */
const PATIENCE = 30_000;

let nuncio;
let token;
before(async () => {
  nuncio = await Nuncio.start(["limits.rate_per_second=0", "limits.sessions_per_user=1000"]);
  const response = await fetch(`${nuncio.page}demo/token`, { method: "POST", body: JSON.stringify({ name: "everybody" }) });
  ({ token } = await response.json());
});
after(() => nuncio?.end());

test(`${UPGRADES} upgrades lose and reorder nothing, and twice as many take no more memory`, { timeout: 1_800_000 }, async () => {
  const used = [];
  for (const round of [1, 2]) {
    console.log(`round ${round}: ${UPGRADES} upgrades in ${await upgradeAll()} ms`);
    used.push(await settledMemory());
  }
  const grown = (used[1] - used[0]) / used[0];
  console.log(`private memory: ${used.map((bytes) => `${Math.round(bytes / 1024)} KiB`).join(", then ")} (${(grown * 100).toFixed(2)} %)`);
  assert.ok(grown < 0.03, `${grown}`);
});

/** Returns how many milliseconds it took. The rooms are few and the same each time: what a room keeps is no matter of upgrades. */
async function upgradeAll() {
  let left = UPGRADES;
  const begin = Date.now();
  const worker = async (_, index) => {
    while (left-- > 0) await upgrade(`room ${index}`);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return Date.now() - begin;
}

/** Connects by polling and talks to itself, from the polls over the probe into the WebSocket. */
async function upgrade(room) {
  const socket = io(nuncio.page, { auth: { token }, forceNew: true, reconnection: false });
  const [heard, acked] = [[], []];
  let broken;
  let isUpgraded = false;
  socket.on("connect_error", (error) => (broken = error));
  socket.on("disconnect", (reason) => (broken ??= new Error(reason)));
  socket.on("message:new", ({ content }) => heard.push(content));
  socket.io.on("open", () => {
    socket.io.engine.on("upgrade", () => (isUpgraded = true));
    socket.io.engine.on("upgradeError", (error) => (broken = error));
  });
  const until = async (isSo) => {
    for (const late = Date.now() + PATIENCE; !isSo(); await pause(5)) {
      if (broken) throw broken;
      if (Date.now() > late) throw new Error(`${room}: waited in vain: ${isSo}; heard ${heard.length}, acknowledged ${acked.length}`);
    }
  };
  await until(() => socket.connected);
  socket.emit("room:join", room);
  let sent = 0;
  for (let left = AFTERWARDS; left > 0; left -= isUpgraded ? 1 : 0) {
    const content = sent++;
    socket.emit("message:send", { roomId: room, content }, ({ status }) => acked.push(`${content} ${status}`));
    if (broken) throw broken;
    await pause(2);
  }
  await until(() => heard.length >= sent && acked.length >= sent);
  const wanted = Array.from({ length: sent }, (_, content) => content);
  assert.deepEqual(heard, wanted, room);
  assert.deepEqual(acked, wanted.map((content) => `${content} ok`), room);
  assert.equal(socket.io.engine.transport.name, "websocket");
  socket.removeAllListeners("disconnect");
  socket.disconnect();
}

/** Bytes of the server's own once nobody is connected and the rooms are forgotten. */
async function settledMemory() {
  await pause(Number(process.env.SETTLE_MS ?? 45_000));
  const rollup = await readFile(`/proc/${nuncio.pid}/smaps_rollup`, "utf8");
  const lines = rollup.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm);
  return [...lines].reduce((sum, [, kilobytes]) => sum + Number(kilobytes) * 1024, 0);
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
