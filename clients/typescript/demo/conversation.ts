import type { Room } from "../src/index.js";
import { avatar, element } from "./dom.js";
import { Timeline } from "./timeline.js";

/** The server ends typing after 6 s; a little later here, should its word be lost. */
const TYPING_MAX = 7000;

/** One entry of the sidebar, with all that the page shows when it is chosen. */
export class Conversation {
  readonly timeline: Timeline;
  /** The entry in the sidebar. */
  readonly entry: HTMLLIElement;
  readonly button: HTMLButtonElement;
  /** Who is here: users and how many sessions each has; `undefined` where only a count is known. */
  members: Set<string> | undefined = new Set();
  memberCount = 0;
  draft = "";
  #unread = 0;
  readonly #badge = element("span", { class: "badge", testId: "unread", hidden: "" });
  readonly #typing = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(
    readonly kind: "room" | "private",
    /** The room's id, or the user's. */
    readonly id: string,
    readonly room: Room | undefined,
  ) {
    this.timeline = new Timeline(kind === "room" ? `Messages in ${id}` : `Messages with ${id}`);
    const sign = kind === "room" ? element("span", { class: "hash", text: "#", "aria-hidden": "true" }) : avatar(id);
    this.button = element(
      "button",
      { type: "button", testId: kind === "room" ? "room" : "private-conversation" },
      sign,
      element("span", { class: "name", text: id, dir: "auto" }),
      this.#badge,
    );
    this.button.dataset[kind === "room" ? "room" : "user"] = id;
    this.entry = element("li", {}, this.button);
  }

  get unread(): number {
    return this.#unread;
  }

  set unread(count: number) {
    this.#unread = count;
    this.#badge.hidden = count === 0;
    this.#badge.textContent = count > 99 ? "99+" : String(count);
    this.#badge.setAttribute("aria-label", `${count} unread`);
  }

  /** Who is typing, in a sentence. */
  get typingText(): string {
    const names = [...this.#typing.keys()];
    if (names.length === 0) return "";
    if (names.length === 1) return `${names[0]} is typing…`;
    return names.length === 2 ? `${names.join(" and ")} are typing…` : "Several people are typing…";
  }

  /** Notes that someone types, or has ended; `changed` is called again when it ends by itself. */
  setTyping(userId: string, typing: "typing" | "ended", changed: () => void): void {
    clearTimeout(this.#typing.get(userId));
    this.#typing.delete(userId);
    if (typing === "typing") {
      const end = (): void => this.setTyping(userId, "ended", changed);
      this.#typing.set(userId, setTimeout(end, TYPING_MAX));
    }
    changed();
  }
}
