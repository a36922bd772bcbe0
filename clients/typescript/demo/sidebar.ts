import type { Conversation } from "./conversation.js";
import { byId } from "./dom.js";

export interface SidebarEvents {
  open(conversation: Conversation): void;
  join(roomId: string): void;
}

/** The list of conversations, and the drawers that it and the members become on a small screen. */
export class Sidebar {
  readonly #app = byId("app");
  readonly #error = byId("room-error");
  readonly #events: SidebarEvents;

  constructor(events: SidebarEvents) {
    this.#events = events;
    const input = byId<HTMLInputElement>("room-input");
    byId<HTMLFormElement>("join-form").onsubmit = (event) => {
      event.preventDefault();
      const roomId = input.value.trim();
      this.showError("");
      if (roomId === "") return;
      input.value = "";
      events.join(roomId);
    };
    byId("open-sidebar").onclick = () => this.#openDrawer("sidebar");
    byId("open-members").onclick = () => this.#openDrawer("members");
    for (const closer of document.querySelectorAll<HTMLElement>("[data-close]")) closer.onclick = () => this.closeDrawers();
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.closeDrawers());
  }

  add(conversation: Conversation): void {
    byId(conversation.kind === "room" ? "rooms" : "privates").append(conversation.entry);
    conversation.button.onclick = () => this.#events.open(conversation);
    byId("private-hint").hidden = byId("privates").childElementCount > 0;
  }

  remove(conversation: Conversation): void {
    conversation.entry.remove();
    byId("private-hint").hidden = byId("privates").childElementCount > 0;
  }

  mark(active: Conversation | undefined, all: Conversation[]): void {
    for (const each of all) {
      if (each === active) each.button.setAttribute("aria-current", "page");
      else each.button.removeAttribute("aria-current");
    }
  }

  /** Unread messages in conversations that are not shown: on the menu button, and in the tab's title. */
  showElsewhere(count: number): void {
    const badge = byId("elsewhere");
    badge.hidden = count === 0;
    badge.textContent = count > 99 ? "99+" : String(count);
  }

  showError(text: string): void {
    this.#error.textContent = text;
  }

  closeDrawers(): void {
    delete this.#app.dataset["drawer"];
  }

  #openDrawer(name: "sidebar" | "members"): void {
    this.#app.dataset["drawer"] = name;
    byId(name === "sidebar" ? "sidebar" : "members-panel").querySelector<HTMLElement>("[data-close]")!.focus();
  }
}
