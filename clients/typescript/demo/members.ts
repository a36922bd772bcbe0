import type { Conversation } from "./conversation.js";
import { avatar, byId, element } from "./dom.js";

/** The panel that shows who is here. Choosing someone else opens a private conversation. */
export class MembersView {
  readonly #list = byId("members");
  readonly #count = byId("member-count");
  readonly #me: () => string;
  readonly #choose: (userId: string) => void;

  constructor(me: () => string, choose: (userId: string) => void) {
    this.#me = me;
    this.#choose = choose;
  }

  show(conversation: Conversation | undefined): void {
    const me = this.#me();
    const members = conversation?.members ?? new Set<string>();
    this.#count.textContent = conversation ? String(conversation.memberCount) : "";
    const others = [...members].filter((member) => member !== me).sort((one, two) => one.localeCompare(two));
    const rows = (members.has(me) ? [me, ...others] : others).map((member) => this.#row(member, member === me ? "you" : "other"));
    if (conversation && !conversation.members) rows.push(element("li", { class: "hint", text: "Too many to name." }));
    this.#list.replaceChildren(...rows);
  }

  #row(member: string, who: "you" | "other"): HTMLLIElement {
    const name = element("span", { class: "name", text: member, dir: "auto" });
    const row = element("li", { testId: "member" });
    row.dataset["user"] = member;
    if (who === "you") {
      row.append(element("span", { class: "member" }, avatar(member), name, element("small", { text: "you" })));
    } else {
      const button = element("button", { class: "member", type: "button", testId: "private-button", title: `Write to ${member} alone` }, avatar(member), name);
      button.addEventListener("click", () => this.#choose(member));
      row.append(button);
    }
    return row;
  }
}
