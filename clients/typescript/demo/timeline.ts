import { avatar, dayOf, element, icon, timeOf } from "./dom.js";

/** `pending` until the server has stored it. */
export type Status = "pending" | "sent" | "failed";

export interface Entry {
  /** The message's id; absent until the server has given one, and for private messages. */
  id?: string;
  author: string;
  text: string;
  ts: number;
  mine: boolean;
  status: Status;
  origin: "history" | "replay" | "live";
  seq?: number;
}

export type DividerKind = "history" | "missed" | "gap" | "notice";

/** Messages that a timeline keeps; the oldest go first. */
const ENTRIES_MAX = 500;
/** Messages of one author within this many milliseconds stand as one group. */
const GROUP_SPAN = 5 * 60_000;
/** Pixels from the end within which the reader is taken to read the newest. */
const NEAR_END = 80;

/** The messages of one conversation: what the server has ordered, then what waits to be sent. */
export class Timeline {
  readonly element = element("div", {
    class: "timeline",
    testId: "messages",
    role: "log",
    "aria-live": "polite",
    "aria-relevant": "additions",
    tabindex: "0",
  });
  /** Called when something new lies below what is seen. */
  onBelow: () => void = () => {};
  readonly #entries = new WeakMap<Element, Entry>();
  readonly #pending: HTMLElement[] = [];
  readonly #ids = new Map<string, HTMLElement>();

  constructor(label: string) {
    this.element.setAttribute("aria-label", label);
  }

  /** Puts a message at the end of what is ordered. One's own takes the place of the pending one that it is. */
  add(entry: Entry): void {
    if (entry.id !== undefined && this.#ids.has(entry.id)) return;
    const waiting = entry.mine ? this.#pending.find((row) => this.#entries.get(row)!.text === entry.text) : undefined;
    if (waiting) return this.confirm(waiting, entry);
    this.#keepingEnd(() => {
      const row = this.#row(entry);
      this.#place(row, this.#pending[0]);
      this.#trim();
    });
  }

  /** Puts a message of the user's own at the end; it waits for `confirm` or `fail`. */
  addPending(entry: Entry): HTMLElement {
    const row = this.#row(entry);
    this.#pending.push(row);
    this.#place(row, undefined);
    this.scrollToEnd();
    return row;
  }

  /** The server has stored a message that was pending: it gets its place, its id and its tick. */
  confirm(row: HTMLElement, stored: { id?: string; seq?: number; ts: number }): void {
    const waits = this.#pending.indexOf(row);
    if (stored.id !== undefined && !this.#ids.has(stored.id)) this.#name(row, stored.id);
    this.#mark(row, "sent");
    if (waits < 0) return;
    this.#pending.splice(waits, 1);
    const entry = this.#entries.get(row)!;
    Object.assign(entry, stored);
    row.querySelector("time")!.replaceWith(timeOf(stored.ts));
    const next = row.nextElementSibling;
    this.#keepingEnd(() => this.#place(row, this.#pending[0]));
    if (next) this.#group(next);
  }

  /** A message was not stored; `again` sends it once more. */
  fail(row: HTMLElement, reason: string, again: () => void): void {
    const waits = this.#pending.indexOf(row);
    if (waits >= 0) this.#pending.splice(waits, 1);
    this.#mark(row, "failed");
    const button = element("button", { class: "again", type: "button", text: "Send again", testId: "send-again" });
    button.addEventListener("click", () => {
      row.remove();
      again();
    });
    this.#keepingEnd(() => row.querySelector(".body")!.append(element("p", { class: "failure", text: reason }, button)));
  }

  /** A line across: what follows came in another way. Of two in a row, the later stays. */
  divide(kind: DividerKind, text: string): void {
    const last = this.#pending[0] ? this.#pending[0].previousElementSibling : this.element.lastElementChild;
    if (last instanceof HTMLElement && last.dataset["kind"] === kind) last.remove();
    this.#keepingEnd(() => this.element.insertBefore(divider(kind, text), this.#pending[0] ?? null));
  }

  /** Puts earlier messages before all others, without moving what is being read. */
  prepend(entries: Entry[]): void {
    const from = this.element.scrollHeight - this.element.scrollTop;
    const first = this.element.querySelector(".message, .divider");
    for (const entry of entries) {
      if (entry.id === undefined || !this.#ids.has(entry.id)) this.#place(this.#row(entry), first ?? undefined);
    }
    this.element.scrollTop = this.element.scrollHeight - from;
  }

  /** The number of the first message shown. */
  get firstSeq(): number | undefined {
    const rows = [...this.element.querySelectorAll(".message")];
    return rows.map((row) => this.#entries.get(row)?.seq).find((seq) => seq !== undefined);
  }

  get isAtEnd(): boolean {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < NEAR_END;
  }

  scrollToEnd(): void {
    this.element.scrollTop = this.element.scrollHeight;
  }

  #row(entry: Entry): HTMLElement {
    const tick = element("span", { class: "tick", testId: "tick", role: "img" });
    const meta = element("span", { class: "meta" }, timeOf(entry.ts), ...(entry.mine ? [tick] : []));
    const text = element("span", { class: "text", testId: "message-text", text: entry.text, dir: "auto" });
    const row = element(
      "div",
      { class: entry.mine ? "message mine" : "message", testId: "message" },
      ...(entry.mine ? [] : [avatar(entry.author)]),
      element(
        "div",
        { class: "body" },
        element("span", { class: entry.mine ? "author visually-hidden" : "author", testId: "message-author", text: entry.author, dir: "auto" }),
        element("div", { class: "bubble" }, text, meta),
      ),
    );
    row.dataset["author"] = entry.author;
    row.dataset["origin"] = entry.origin;
    this.#entries.set(row, entry);
    if (entry.id !== undefined) this.#name(row, entry.id);
    this.#mark(row, entry.status);
    return row;
  }

  #name(row: HTMLElement, id: string): void {
    row.dataset["id"] = id;
    this.#ids.set(id, row);
  }

  #mark(row: HTMLElement, status: Status): void {
    row.dataset["status"] = status;
    const tick = row.querySelector(".tick");
    if (!tick) return;
    tick.replaceChildren(icon(status));
    tick.setAttribute("aria-label", { pending: "Sending", sent: "Stored by the server", failed: "Not sent" }[status]);
  }

  #place(row: HTMLElement, before: Element | undefined): void {
    this.element.insertBefore(row, before ?? null);
    this.#beginDay(row);
    this.#group(row);
    if (row.nextElementSibling) this.#group(row.nextElementSibling);
  }

  /** Sets a day's name above its first message. */
  #beginDay(row: HTMLElement): void {
    const entry = this.#entries.get(row)!;
    let before = row.previousElementSibling;
    while (before && !this.#entries.has(before)) before = before.previousElementSibling;
    const earlier = before && this.#entries.get(before);
    const name = dayOf(entry.ts);
    if (earlier ? dayOf(earlier.ts) !== name : name !== dayOf(Date.now())) {
      this.element.insertBefore(element("div", { class: "day", text: name }), row);
    }
  }

  #group(row: Element): void {
    const entry = this.#entries.get(row);
    const above = row.previousElementSibling && this.#entries.get(row.previousElementSibling);
    const follows = entry && above && above.author === entry.author && above.mine === entry.mine && entry.ts - above.ts < GROUP_SPAN;
    row.classList.toggle("follows", Boolean(follows));
  }

  #trim(): void {
    while (this.element.childElementCount > ENTRIES_MAX) {
      const first = this.element.querySelector(".message")!;
      const id = (first as HTMLElement).dataset["id"];
      if (id !== undefined) this.#ids.delete(id);
      first.remove();
    }
  }

  /** Changes the timeline, and follows its end if the end was being read. */
  #keepingEnd(change: () => void): void {
    const follow = this.isAtEnd;
    change();
    if (follow) this.scrollToEnd();
    else this.onBelow();
  }
}

function divider(kind: DividerKind, text: string): HTMLElement {
  const row = element("div", { class: `divider ${kind}`, testId: "divider" }, element("span", { text }));
  row.dataset["kind"] = kind;
  return row;
}
