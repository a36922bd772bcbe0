import { describe, expect, it } from "vitest";

import { Sequence } from "../src/sequence.js";

const at = (seq: number, epoch = "e1") => ({ epoch, seq });

describe("a room's sequence", () => {
  it("has no position before the room is joined", () => {
    expect(new Sequence().position).toBeUndefined();
  });

  it("lets each number through once and in order", () => {
    const sequence = new Sequence();
    sequence.begin(at(4), 0);
    expect([5, 6, 6, 5, 7].map((seq) => sequence.accept(seq, undefined))).toEqual(["next", "next", "repeated", "repeated", "next"]);
    expect(sequence.position).toEqual(at(7));
  });

  it("tells that a number is missing", () => {
    const sequence = new Sequence();
    sequence.begin(at(4), 0);
    expect(sequence.accept(6, undefined)).toBe("after-gap");
    expect(sequence.accept(7, undefined)).toBe("next");
  });

  it("takes the history of a join from wherever it begins, and says so", () => {
    const sequence = new Sequence();
    sequence.begin(at(10), 5);
    expect(sequence.accept(8, undefined)).toBe("next");
    expect(sequence.origin(8)).toBe("history");
    expect(sequence.accept(9, undefined)).toBe("next");
    expect(sequence.accept(10, undefined)).toBe("next");
    expect(sequence.accept(11, undefined)).toBe("next");
    expect(sequence.origin(11)).toBe("live");
    expect(sequence.accept(13, undefined)).toBe("after-gap");
  });

  it("goes on to live messages when the room has lost its history by age", () => {
    const sequence = new Sequence();
    sequence.begin(at(10), 5);
    expect(sequence.accept(11, undefined)).toBe("next");
  });

  it("asks for the history again, not for what comes after it, when cut before it arrived", () => {
    const sequence = new Sequence();
    sequence.begin(at(10), 5);
    expect(sequence.position).toEqual(at(5));
  });

  it("counts what was missed and allows no hole in its replay", () => {
    const sequence = new Sequence();
    sequence.begin(at(4), 0);
    expect(sequence.recover(at(7))).toBe(3);
    expect(sequence.accept(5, undefined)).toBe("next");
    expect(sequence.origin(5)).toBe("replay");
    expect(sequence.accept(7, undefined)).toBe("after-gap");
  });

  it("goes on at the new position after a loss", () => {
    const sequence = new Sequence();
    sequence.begin(at(40), 0);
    sequence.skip(at(3, "e2"));
    expect(sequence.accept(4, undefined)).toBe("next");
    expect(sequence.position).toEqual(at(4, "e2"));
  });

  it("takes an epoch that changes without announcement for a gap", () => {
    const sequence = new Sequence();
    sequence.begin(at(4), 0);
    expect(sequence.accept(5, "e2")).toBe("after-gap");
    expect(sequence.accept(6, undefined)).toBe("next");
    expect(sequence.position).toEqual(at(6, "e2"));
  });

  it("reads on from a position kept by the application", () => {
    const sequence = new Sequence();
    sequence.restore(at(12));
    expect(sequence.position).toEqual(at(12));
    expect(sequence.recover(at(14))).toBe(2);
  });
});
