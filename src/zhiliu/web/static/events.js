// What the person does goes out in small batches. Event ids are made here, so sending twice counts once.
import { ApiError, call } from "./api.js";
import { now, unique, who } from "./boot.js";

const BATCH = 50;
const LINGER_MS = 800;
const KEPT = 1000; // events held while the server cannot be reached; older ones are let go

export class EventQueue {
  constructor(onTrouble) {
    this.waiting = [];
    this.timer = 0;
    this.pause_ms = LINGER_MS;
    this.sending = false;
    this.onTrouble = onTrouble;
    addEventListener("pagehide", () => this.flush(true));
    document.addEventListener("visibilitychange", () => document.hidden && this.flush(true));
  }

  add(type, { request_id, video_id, surface, props = {} }) {
    const event = { event_id: unique(), type, time: now(), ...who, video_id, request_id, surface, props };
    this.waiting = [...this.waiting, event].slice(-KEPT);
    if (this.waiting.length >= BATCH) this.flush();
    else this.later();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), this.pause_ms);
  }

  async flush(leaving = false) {
    if ((this.sending && !leaving) || this.waiting.length === 0) return;
    const batch = this.waiting.slice(0, BATCH);
    this.sending = true;
    try {
      await call("/events", {
        method: "POST",
        keepalive: leaving, // outlives the page; event ids make a second sending harmless
        headers: { "content-type": "application/json" },
        body: JSON.stringify(batch),
      });
      this.done(batch);
    } catch (error) {
      const hopeless = error instanceof ApiError && [400, 413, 415, 422].includes(error.status);
      if (hopeless) this.done(batch);
      else this.pause_ms = Math.min(this.pause_ms * 2, 30_000);
      this.onTrouble(!hopeless);
    } finally {
      this.sending = false;
      if (this.waiting.length > 0) this.later();
    }
  }

  done(batch) {
    const sent = new Set(batch.map((event) => event.event_id));
    this.waiting = this.waiting.filter((event) => !sent.has(event.event_id));
    this.pause_ms = LINGER_MS;
    this.onTrouble(false);
  }
}

const SEEN_MS = 500;

/** Calls back once for each element that was at least half visible for half a second. */
export class Impressions {
  constructor(onSeen) {
    this.timers = new Map();
    this.watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        clearTimeout(this.timers.get(entry.target));
        if (entry.intersectionRatio < 0.5) continue;
        const seen = () => {
          this.watcher.unobserve(entry.target);
          this.timers.delete(entry.target);
          onSeen(entry.target);
        };
        this.timers.set(entry.target, setTimeout(seen, SEEN_MS));
      }
    }, { threshold: [0, 0.5] });
    document.addEventListener("visibilitychange", () => {
      for (const [element, timer] of this.timers) {
        clearTimeout(timer); // nobody looks at a hidden tab
        if (document.hidden) continue;
        this.watcher.unobserve(element); // observing again tells the present state once more
        this.watcher.observe(element);
      }
    });
  }

  watch(element) {
    this.watcher.observe(element);
  }

  forget(element) {
    this.watcher.unobserve(element);
    clearTimeout(this.timers.get(element));
    this.timers.delete(element);
  }
}
