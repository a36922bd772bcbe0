import type { Position } from "./messages.js";

/** What a publication's number says about it. */
export type Verdict = "next" | "repeated" | "after-gap";

/** Where a publication comes from: asked for on joining, missed while away, or just sent. */
export type Origin = "history" | "replay" | "live";

/**
 * How far one room has been read. It lets each publication through once and in order, and knows when one is missing.
 *
 * A join or a resume tells the room's newest number, its head; what was missed follows and leads up to it.
 */
export class Sequence {
  #epoch: string | undefined;
  #seq = 0;
  #head = 0;
  /** History may begin and end anywhere below the head, for a room keeps only its newest messages. A replay has no holes. */
  #below: "history" | "replay" = "replay";

  /** The last publication read; `undefined` before the room's epoch is known. */
  get position(): Position | undefined {
    return this.#epoch === undefined ? undefined : { epoch: this.#epoch, seq: this.#seq };
  }

  /** Starts at the head `at`, with up to `history` earlier messages to come. */
  begin(at: Position, history: number): void {
    this.#set(at.epoch, Math.max(0, at.seq - history), at.seq);
    this.#below = "history";
  }

  /** Goes on from the position read, as far as the head `at`; returns how many messages are to come. */
  recover(at: Position): number {
    this.#set(at.epoch, Math.min(this.#seq, at.seq), at.seq);
    this.#below = "replay";
    return at.seq - this.#seq;
  }

  /** Goes on at `at`; what lies between is lost. */
  skip(at: Position): void {
    this.#set(at.epoch, at.seq, at.seq);
  }

  /** Reads on from a position that was kept elsewhere, to be confirmed by a join. */
  restore(at: Position): void {
    this.#set(at.epoch, at.seq, at.seq);
  }

  /** Judges the publication `seq`, and moves to it unless it was read before. */
  accept(seq: number, epoch: string | undefined): Verdict {
    if (epoch !== undefined && epoch !== this.#epoch) {
      const known = this.#epoch !== undefined;
      this.#set(epoch, seq, seq);
      return known ? "after-gap" : "next";
    }
    if (seq <= this.#seq) return "repeated";
    const holeAllowed = this.#below === "history" && seq <= this.#head + 1;
    const verdict = seq === this.#seq + 1 || holeAllowed ? "next" : "after-gap";
    this.#seq = seq;
    return verdict;
  }

  origin(seq: number): Origin {
    return seq > this.#head ? "live" : this.#below;
  }

  #set(epoch: string, seq: number, head: number): void {
    this.#epoch = epoch;
    this.#seq = seq;
    this.#head = head;
  }
}
