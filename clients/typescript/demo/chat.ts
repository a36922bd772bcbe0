import type { ChatMessage, Client, NuncioError, Origin, PrivateMessage, Room } from "../src/index.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { byId, element } from "./dom.js";
import { MembersView } from "./members.js";
import { Sidebar } from "./sidebar.js";
import type { Entry } from "./timeline.js";

/** Messages of a room shown on joining it, and in each step back from there. */
const HISTORY = 50;
const ROOMS_KEY = "nuncio:rooms";
/** Members that are listed by name. */
const NAMED_MAX = 200;

/** The chat of one user: conversations, which of them is shown, and what the client reports about them. */
export class Chat {
  readonly #client: Client;
  readonly #name: string;
  readonly #rooms = new Map<string, Conversation>();
  readonly #privates = new Map<string, Conversation>();
  readonly #sidebar: Sidebar;
  readonly #members: MembersView;
  readonly #composer: Composer;
  /** What takes each conversation's listeners away. */
  readonly #stops = new WeakMap<Conversation, (() => void)[]>();
  #active: Conversation | undefined;

  constructor(client: Client, name: string) {
    this.#client = client;
    this.#name = name;
    this.#sidebar = new Sidebar({ open: (conversation) => this.#open(conversation), join: (roomId) => this.#join(roomId, "chosen") });
    this.#members = new MembersView(() => this.#me, (userId) => this.#open(this.#private(userId)));
    this.#composer = new Composer({ send: (text) => this.#send(text), input: (text) => this.#typed(text) });
    client.on("message:private", (message) => this.#receivePrivate(message));
    client.on("room", (room: Room) => this.#addJoined(room));
    byId("leave-room").onclick = () => this.#leave();
    byId("to-latest").onclick = () => this.#active?.timeline.scrollToEnd();
    document.addEventListener("keydown", (event) => this.#step(event));
    document.addEventListener("visibilitychange", () => this.#read());
    this.#show();
    for (const roomId of rememberedRooms()) this.#join(roomId, "remembered");
  }

  /** The user as the server knows it; until then, as the user wrote it. */
  get #me(): string {
    return this.#client.user?.sub ?? this.#name;
  }

  get #all(): Conversation[] {
    return [...this.#rooms.values(), ...this.#privates.values()];
  }

  #join(roomId: string, how: "chosen" | "remembered"): void {
    const known = this.#rooms.get(roomId);
    if (known) return this.#open(known);
    const room = this.#client.room(roomId);
    const conversation = this.#add(room);
    if (how === "chosen" || !this.#active) this.#open(conversation);
    room.join({ history: HISTORY }).then(
      () => this.#rememberRooms(),
      (error: NuncioError) => this.#refused(conversation, error),
    );
  }

  #refused(conversation: Conversation, error: NuncioError): void {
    this.#sidebar.showError(error.message);
    this.#remove(conversation);
  }

  #add(room: Room): Conversation {
    const conversation = new Conversation("room", room.id, room);
    this.#rooms.set(room.id, conversation);
    this.#attach(conversation);
    this.#listen(room, conversation);
    return conversation;
  }

  /** The server put the user into a room. */
  #addJoined(room: Room): void {
    const conversation = this.#rooms.get(room.id) ?? this.#add(room);
    void this.#loadMembers(room, conversation);
  }

  #private(userId: string): Conversation {
    let conversation = this.#privates.get(userId);
    if (!conversation) {
      conversation = new Conversation("private", userId, undefined);
      this.#privates.set(userId, conversation);
      this.#attach(conversation);
    }
    return conversation;
  }

  #attach(conversation: Conversation): void {
    const { timeline } = conversation;
    timeline.element.hidden = true;
    timeline.onBelow = () => this.#showLatest();
    timeline.element.addEventListener("scroll", () => this.#showLatest(), { passive: true });
    byId("timelines").append(timeline.element);
    this.#sidebar.add(conversation);
  }

  #listen(room: Room, conversation: Conversation): void {
    const { timeline } = conversation;
    const stop = [
      room.on("chat:message", (message, origin) => this.#receive(conversation, message, origin)),
      room.on("joined", () => this.#loadMembers(room, conversation)),
      room.on("recovered", (missed) => timeline.divide("missed", missed === 1 ? "1 missed message" : `${missed} missed messages`)),
      room.on("gap", () => timeline.divide("gap", "Some messages could not be recovered")),
      room.on("removed", (code) => this.#removed(conversation, code)),
      room.on("user:joined", ({ userId }) => this.#changeMembers(conversation, (members) => members.add(userId))),
      room.on("user:left", ({ userId }) => this.#left(conversation, userId)),
      room.on("presence:count", ({ count }) => this.#countMembers(conversation, count)),
      room.on("user:typing", ({ userId, typing }) => this.#typing(conversation, userId, typing ? "typing" : "ended")),
    ];
    this.#stops.set(conversation, stop);
  }

  #receive(conversation: Conversation, message: ChatMessage, origin: Origin): void {
    const entry = this.#entry(message, origin);
    if (origin === "history" && !conversation.timeline.firstSeq) this.#offerEarlier(conversation, message.seq);
    conversation.timeline.add(entry);
    conversation.setTyping(entry.author, "ended", () => this.#showTyping(conversation));
    if (!entry.mine && origin !== "history") this.#count(conversation);
  }

  #entry({ id, userId = "server", content, ts, seq }: ChatMessage, origin: Origin): Entry {
    return { id, seq, author: userId, text: textOf(content), ts, mine: userId === this.#me, status: "sent", origin };
  }

  #receivePrivate({ fromUser = "server", content, ts }: PrivateMessage): void {
    const conversation = this.#private(fromUser);
    conversation.timeline.add({ author: fromUser, text: textOf(content), ts, mine: false, status: "sent", origin: "live" });
    this.#count(conversation);
  }

  #send(text: string): void {
    const conversation = this.#active;
    if (conversation) this.#sendTo(conversation, text);
  }

  #sendTo(conversation: Conversation, text: string): void {
    const { timeline, room, id } = conversation;
    const row = timeline.addPending({ author: this.#me, text, ts: Date.now(), mine: true, status: "pending", origin: "live" });
    const failed = (reason: string): void => timeline.fail(row, reason, () => this.#sendTo(conversation, text));
    if (room) {
      room.send(text).then((stored) => timeline.confirm(row, stored), (error: NuncioError) => failed(error.message));
    } else {
      this.#client.sendPrivate(id, text).then(
        ({ sessions }) => (sessions > 0 ? timeline.confirm(row, { ts: Date.now() }) : failed(`${id} is not here.`)),
        (error: NuncioError) => failed(error.message),
      );
    }
  }

  #typed(text: string): void {
    if (text.trim() === "") this.#active?.room?.stopTyping();
    else this.#active?.room?.startTyping();
  }

  #typing(conversation: Conversation, userId: string, typing: "typing" | "ended"): void {
    if (userId !== this.#me) conversation.setTyping(userId, typing, () => this.#showTyping(conversation));
  }

  #showTyping(conversation: Conversation): void {
    if (conversation === this.#active) byId("typing").textContent = conversation.typingText;
  }

  async #loadMembers(room: Room, conversation: Conversation): Promise<void> {
    const members = new Set<string>();
    let after: string | undefined;
    do {
      const page = await room.presence(after === undefined ? {} : { after }).catch(() => undefined);
      if (!page) return;
      for (const { userId } of page.users ?? []) members.add(userId);
      conversation.memberCount = page.count;
      after = page.next;
    } while (after !== undefined && members.size < NAMED_MAX);
    conversation.members = after === undefined ? members : undefined;
    this.#showMembers(conversation);
  }

  #left(conversation: Conversation, userId: string): void {
    this.#typing(conversation, userId, "ended");
    this.#changeMembers(conversation, (members) => members.delete(userId));
  }

  #changeMembers(conversation: Conversation, change: (members: Set<string>) => void): void {
    if (!conversation.members) return;
    change(conversation.members);
    conversation.memberCount = conversation.members.size;
    this.#showMembers(conversation);
  }

  #countMembers(conversation: Conversation, count: number): void {
    conversation.members = undefined;
    conversation.memberCount = count;
    this.#showMembers(conversation);
  }

  #showMembers(conversation: Conversation): void {
    if (conversation !== this.#active) return;
    this.#members.show(conversation.room ? conversation : undefined);
    byId("subtitle").textContent = subtitleOf(conversation);
  }

  #offerEarlier(conversation: Conversation, before: number): void {
    if (before <= 1 || !conversation.room) return;
    const { room, timeline } = conversation;
    const button = element("button", { type: "button", text: "Show earlier messages", testId: "earlier" });
    const row = element("div", { class: "earlier" }, button);
    timeline.element.prepend(row);
    button.onclick = async () => {
      button.disabled = true;
      const page = await room.history({ before: timeline.firstSeq ?? before, limit: HISTORY }).catch(() => undefined);
      button.disabled = false;
      const messages = (page?.messages ?? []).filter((message) => message.type === "chat:message");
      timeline.prepend(messages.map((message) => this.#entry(message, "history")));
      if (page && (messages.length === 0 || messages[0]!.seq === 1)) row.remove();
    };
  }

  #leave(): void {
    const conversation = this.#active;
    if (!conversation) return;
    void conversation.room?.leave();
    this.#remove(conversation);
  }

  #removed(conversation: Conversation, code: string): void {
    this.#sidebar.showError(`You are no longer in ${conversation.id} (${code}).`);
    this.#remove(conversation);
  }

  #remove(conversation: Conversation): void {
    for (const stop of this.#stops.get(conversation) ?? []) stop();
    (conversation.kind === "room" ? this.#rooms : this.#privates).delete(conversation.id);
    this.#sidebar.remove(conversation);
    conversation.timeline.element.remove();
    this.#rememberRooms();
    if (conversation === this.#active) {
      this.#active = undefined;
      this.#open(this.#all[0]);
    }
  }

  #rememberRooms(): void {
    sessionStorage.setItem(ROOMS_KEY, JSON.stringify([...this.#rooms.keys()]));
  }

  #open(conversation: Conversation | undefined): void {
    if (this.#active) {
      this.#active.draft = this.#composer.text;
      this.#active.room?.stopTyping();
    }
    this.#active = conversation;
    this.#show();
    this.#sidebar.closeDrawers();
    this.#composer.focus();
  }

  #show(): void {
    const active = this.#active;
    for (const { timeline } of this.#all) timeline.element.hidden = timeline !== active?.timeline;
    byId("empty").hidden = active !== undefined;
    byId("title").textContent = active?.id ?? "";
    byId("subtitle").textContent = active ? subtitleOf(active) : "";
    byId("chat").dataset["kind"] = active?.kind ?? "none";
    byId("typing").textContent = active?.typingText ?? "";
    this.#composer.show(active?.draft ?? "", active && `Message ${active.kind === "room" ? "#" : ""}${active.id}`);
    this.#members.show(active?.room ? active : undefined);
    this.#sidebar.mark(active, this.#all);
    active?.timeline.scrollToEnd();
    this.#showLatest();
    this.#read();
  }

  /** Offers the way down while the newest is out of sight. */
  #showLatest(): void {
    byId("to-latest").hidden = this.#active?.timeline.isAtEnd ?? true;
  }

  #count(conversation: Conversation): void {
    conversation.unread++;
    this.#read();
  }

  /** What is on the screen has been read. */
  #read(): void {
    if (this.#active && document.visibilityState === "visible") this.#active.unread = 0;
    const unread = this.#all.reduce((sum, each) => sum + each.unread, 0);
    this.#sidebar.showElsewhere(unread);
    document.title = `${unread > 0 ? `(${unread}) ` : ""}${this.#active ? `${this.#active.id} · ` : ""}nuncio`;
  }

  /** Alt with the arrow keys goes to the conversation above or below. */
  #step(event: KeyboardEvent): void {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!event.altKey || step === undefined) return;
    event.preventDefault();
    const all = this.#all;
    const from = this.#active ? all.indexOf(this.#active) : 0;
    this.#open(all[(from + step + all.length) % all.length]);
  }
}

function subtitleOf({ kind, memberCount }: Conversation): string {
  if (kind === "private") return "Private: between the two of you";
  return memberCount === 0 ? "\u00a0" : memberCount === 1 ? "Only you are here" : `${memberCount} here`;
}

/** A message's content as text; another client may have sent something else than a string. */
function textOf(content: unknown): string {
  return typeof content === "string" ? content : (JSON.stringify(content) ?? "");
}

function rememberedRooms(): string[] {
  const stored: unknown = JSON.parse(sessionStorage.getItem(ROOMS_KEY) ?? "[]");
  const rooms = Array.isArray(stored) ? stored.filter((each): each is string => typeof each === "string") : [];
  return rooms.length > 0 ? rooms : ["lobby"];
}
