import { http } from "../src/http.js";
import { type Dial, webSocket } from "../src/index.js";
import { byId } from "./dom.js";
import { socketIo } from "./socketio.js";

/** What carries the messages of a tab. */
type Carrier = "websocket" | "sse" | "poll" | "socketio";

const DIALS: Record<Carrier, () => Dial> = {
  websocket: webSocket,
  sse: () => http("sse"),
  poll: () => http("poll"),
  socketio: () => socketIo,
};

const KEY = "nuncio:carrier";

/** The choice on the first page; it holds for this tab. */
export function chosenDial(): Dial {
  const { carrier } = byId<HTMLFormElement>("name-form").elements as unknown as { carrier: RadioNodeList };
  sessionStorage.setItem(KEY, carrier.value);
  return DIALS[carrier.value as Carrier]();
}

/** Shows what was chosen before. */
export function restoreChoice(): void {
  const { carrier } = byId<HTMLFormElement>("name-form").elements as unknown as { carrier: RadioNodeList };
  carrier.value = sessionStorage.getItem(KEY) ?? "websocket";
}
