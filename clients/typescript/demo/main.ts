import { Client } from "../src/index.js";
import { Cable } from "./cable.js";
import { chosenDial, restoreChoice } from "./carrier.js";
import { Chat } from "./chat.js";
import { ConnectionView } from "./connection.js";
import { avatar, byId } from "./dom.js";
import { applyTheme, toggleTheme } from "./theme.js";
import { demoToken } from "./token.js";

const NAME_KEY = "nuncio:name";

applyTheme();
document.addEventListener("DOMContentLoaded", () => {
  byId("theme-toggle").onclick = toggleTheme;
  byId("sign-out").onclick = signOut;
  const form = byId<HTMLFormElement>("name-form");
  form.onsubmit = (event) => {
    event.preventDefault();
    void signIn(byId<HTMLInputElement>("name-input").value.trim());
  };
  restoreChoice();
  const name = sessionStorage.getItem(NAME_KEY);
  if (name === null) byId("name-input").focus();
  else start(name);
});

/** Asks for a first token, so that a name the server refuses is refused here. */
async function signIn(name: string): Promise<void> {
  const error = byId("name-error");
  error.textContent = "";
  if (name === "") return;
  try {
    start(name, await demoToken(name));
    sessionStorage.setItem(NAME_KEY, name);
  } catch (reason) {
    error.textContent = reason instanceof TypeError ? "The server cannot be reached." : (reason as Error).message;
  }
}

function start(name: string, firstToken?: string): void {
  const cable = new Cable(chosenDial());
  let first = firstToken;
  const client = new Client({
    url: "ws",
    dial: cable.dial,
    token: async () => {
      const token = first ?? (await demoToken(name));
      first = undefined;
      return token;
    },
  });
  byId("login").hidden = true;
  byId("app").hidden = false;
  byId("me-name").textContent = name;
  avatar(name, byId("me-avatar"));
  new ConnectionView(client);
  new Chat(client, name);
  const offline = byId<HTMLInputElement>("offline-switch");
  offline.checked = false;
  offline.onchange = () => {
    if (offline.checked) return cable.pull();
    cable.plug();
    client.wake();
  };
  client.connect();
}

function signOut(): void {
  sessionStorage.clear();
  location.reload();
}
