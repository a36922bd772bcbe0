import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Backoff } from "../src/backoff.js";
import { blamesMessage, retryRule } from "../src/close.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("backoff", () => {
  it("doubles its ceiling from 1 s to 30 s", () => {
    const backoff = new Backoff({ random: () => 1 });
    expect(Array.from({ length: 7 }, () => backoff.next())).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  it("draws evenly between zero and the ceiling", () => {
    const backoff = new Backoff({ random: () => 0.25 });
    expect([backoff.next(), backoff.next(), backoff.next()]).toEqual([250, 500, 1000]);
  });

  it("spreads the first attempts of 1,000 clients: at most 15 % in any 100 ms", () => {
    const delays = Array.from({ length: 1000 }, () => new Backoff().next()!);
    const windows = Array.from({ length: 10 }, (_, window) => delays.filter((delay) => Math.floor(delay / 100) === window).length);
    expect(Math.max(...windows)).toBeLessThanOrEqual(150);
  });

  it("waits at least as long as the server announced, plus jitter", () => {
    expect(new Backoff({ random: () => 0.5 }).next(7000)).toBe(7500);
  });

  it("gives up after the attempts allowed", () => {
    const backoff = new Backoff({ attempts: 2 });
    expect(backoff.next()).toBeDefined();
    expect(backoff.next()).toBeDefined();
    expect(backoff.next()).toBeUndefined();
  });

  it("starts over only after a connection that lasted", () => {
    const backoff = new Backoff({ random: () => 1 });
    backoff.next();
    backoff.connected();
    vi.advanceTimersByTime(4999);
    expect(backoff.next()).toBe(2000);
    backoff.connected();
    vi.advanceTimersByTime(5000);
    expect(backoff.next()).toBe(1000);
  });
});

describe("close codes", () => {
  it("have the retry rules of the protocol's table", () => {
    const rules = (codes: number[]) => [...new Set(codes.map(retryRule))];
    expect(rules([1001, 1002, 1003, 1005, 1006, 1007, 1009, 1011, 1012, 1013, 1014, 1015, 3000])).toEqual(["backoff"]);
    expect(rules([1008, 4003])).toEqual(["token"]);
    expect(rules([1000, 4000, 4001, 4002, 4004, 4099, 4100, 4999])).toEqual(["never"]);
  });

  it("blame the message sent with 1002, 1003, 1007 and 1009 only", () => {
    const blaming = Array.from({ length: 4000 }, (_, index) => 1000 + index).filter(blamesMessage);
    expect(blaming).toEqual([1002, 1003, 1007, 1009]);
  });
});
