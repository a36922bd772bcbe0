// Waiting for what must come.

/** Milliseconds to wait for it. */
export const PATIENCE = 15_000;

/** The arguments of the next event of this name. */
export function next(emitter, name) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${name} came`)), PATIENCE);
    emitter.once(name, (...args) => {
      clearTimeout(late);
      resolve(args);
    });
  });
}

/** What a function gives, once it is true. */
export async function until(isSo) {
  const late = Date.now() + PATIENCE;
  for (;;) {
    const found = await isSo();
    if (found) return found;
    if (Date.now() > late) throw new Error(`waited in vain: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What an event is acknowledged with. */
export function ask(socket, ...event) {
  return socket.timeout(PATIENCE).emitWithAck(...event);
}

/** Cuts the cable, has something done, and mends it; resolves when the client is back. */
export async function away({ cable, socket }, meanwhile) {
  const gone = next(socket, "disconnect");
  cable.cut();
  await gone;
  const back = next(socket, "connect");
  await meanwhile();
  cable.mend();
  await back;
}
