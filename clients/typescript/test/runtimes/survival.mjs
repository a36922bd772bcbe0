// What an application does with the package as it is published, in whatever runs JavaScript. `survive` is called with where things are; it
// says "cut me" once, expects the server to be killed and restarted then, and returns what went wrong: nothing, hopefully.

/** Messages of each client before the cut, and as many during and after it. */
const MESSAGES = 20;
/** Milliseconds to wait for what must come. */
const PATIENCE = 20_000;

/**
 * @param {{ client: any, fallback: any, reconnecting: any, WebSocket: any }} parts the modules, and a `WebSocket` where there is no global one
 * @param {{ page: string, socket: string, echo: string }} urls
 * @param {() => void} cutMe
 */
export async function survive(parts, urls, cutMe) {
  const { Client } = parts.client;
  const transports = ["websocket", "sse", "poll"];
  const seen = transports.map(() => []);
  const gaps = [];
  const clients = transports.map((name) => new Client({
    url: urls.socket,
    token: () => token(urls.page, name),
    dial: parts.fallback.fallback({ order: [name], WebSocket: parts.WebSocket }),
    base: 50,
    max: 500,
    retries: 10,
  }));
  clients.forEach((client, index) => {
    client.room("lobby").on("chat:message", ({ seq, content }) => seen[index].push(`${seq} ${content}`));
    client.room("lobby").on("gap", (reason) => gaps.push(`${transports[index]}: ${reason}`));
    client.connect();
  });
  await Promise.all(clients.map((client) => client.room("lobby").join()));
  const used = clients.map(({ transport }) => transport);
  await talk(clients, "before");
  cutMe();
  await talk(clients, "during");
  await until(() => seen.every(({ length }) => length >= 2 * MESSAGES * clients.length));
  clients.forEach((client) => client.close());
  const problems = [...gaps];
  if (used.join() !== transports.join()) problems.push(`the transports were ${used}`);
  for (const list of seen) {
    const numbers = list.map((line) => Number(line.split(" ")[0]));
    if (numbers.some((number, index) => number !== index + 1)) problems.push(`lost, repeated or reordered: ${list}`);
    if (list.join() !== seen[0].join()) problems.push("one transport tells another story");
  }
  return [...problems, ...(await echoes(parts, urls.echo))];
}

async function talk(clients, when) {
  for (let index = 0; index < MESSAGES; index++) {
    await Promise.all(clients.map((client, number) => client.room("lobby").send(`${when} ${number}.${index}`)));
  }
}

/** The drop-in for `WebSocket`: text, and binary in each form it is sent in, come back from a server that cuts the connection once. */
async function echoes({ reconnecting, WebSocket }, url) {
  const heard = [];
  const socket = new reconnecting.ReconnectingWebSocket(url, { reconnectInterval: 50, ...(WebSocket && { WebSocket }) });
  let opened = 0;
  socket.onopen = () => opened++;
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => heard.push(typeof data === "string" ? data : [...new Uint8Array(data)].join());
  const wanted = ["text", "1,2,3", "4,5", "6,7"];
  for (const payload of ["text", new Uint8Array([1, 2, 3]), new Uint8Array([4, 5]).buffer, new Blob([new Uint8Array([6, 7])])]) {
    socket.send(payload);
  }
  await until(() => heard.length === wanted.length);
  socket.send("cut me");
  await until(() => opened === 2);
  socket.send("back");
  await until(() => heard.includes("back"));
  socket.close();
  const missing = [...wanted, "back"].filter((each) => !heard.includes(each));
  return missing.map((each) => `not echoed: ${each}; heard ${heard}`);
}

async function token(page, name) {
  const response = await fetch(`${page}demo/token`, { method: "POST", body: JSON.stringify({ name }) });
  return (await response.json()).token;
}

async function until(isSo) {
  for (const late = Date.now() + PATIENCE; !isSo(); await new Promise((resolve) => setTimeout(resolve, 5))) {
    if (Date.now() > late) throw new Error(`waited in vain: ${isSo}`);
  }
}
