// What the gateway tells by itself: server-sent events, with a pause and reconnection.

import { computed, effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { address, can, checkSession, type Params } from "./api";
import type { Live } from "./types";

export type LiveState = "connecting" | "open" | "lost" | "paused";
type EventName = "request" | "dropped" | "alarm" | "totals";

/** paused is the reader's wish that nothing moves. */
export const paused = signal(false);

/** totals is the last moment that was told of. */
export const totals = signal<Live | null>(null);

const hidden = signal(document.hidden);
document.addEventListener("visibilitychange", () => { hidden.value = document.hidden; });

const connection = signal<"connecting" | "open" | "lost">("connecting");

/** liveState is how the stream of events is. */
export const liveState = computed<LiveState>(() => (paused.value ? "paused" : connection.value));

const firstDelay = 1_000;
const longestDelay = 30_000;

/** The gateway tells totals every two seconds: after so long without a word the connection is dead, whatever TCP thinks. */
const silence = 20_000;

/** Milliseconds between two signs of life of a page that only listens; sessions end after an hour without use. */
const keepAlive = 600_000;

/**
 * follow keeps a stream of events open until stop is called. A browser's own reconnection knows no growing
 * delays and gives up on an answer such as 503, so it is done here.
 */
function follow(params: Params, handlers: Partial<Record<EventName, (data: never) => void>>, told: (s: "connecting" | "open" | "lost") => void): () => void {
  let source: EventSource | null = null;
  let timer = 0;
  let delay = firstDelay;
  let stopped = false;
  let watch = 0;
  const lost = () => {
    source?.close();
    clearTimeout(watch);
    if (stopped) return;
    told("lost");
    void checkSession(); // a stream does not say whether it was refused or cut
    timer = window.setTimeout(open, delay * (0.5 + Math.random() / 2)); // jitter: many tabs, one restart
    delay = Math.min(delay * 2, longestDelay);
  };
  const heard = () => {
    clearTimeout(watch);
    watch = window.setTimeout(lost, silence);
  };
  const open = () => {
    told("connecting");
    heard();
    source = new EventSource(address("v1/events", params));
    source.onopen = () => {
      delay = firstDelay;
      told("open");
    };
    source.onerror = lost;
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (e) => {
        heard();
        try {
          (handler as (data: unknown) => void)(JSON.parse((e as MessageEvent<string>).data));
        } catch (error) {
          console.warn("an event could not be read", name, error);
        }
      });
    }
  };
  open();
  return () => {
    stopped = true;
    clearTimeout(timer);
    clearTimeout(watch);
    source?.close();
  };
}

const listeners = new Map<EventName, Set<(data: unknown) => void>>();

const tell = (name: EventName) => (data: unknown) => listeners.get(name)?.forEach((f) => f(data));

/** nobody is a filter that no call meets: most pages want no entries of the request log. */
const nobody: Params = { id: "-" };

/** wanted are the filters of the entries that the page wants to be told of. */
const wanted = signal<Params>(nobody);

/**
 * startLive opens the one stream that all pages share: a browser has six connections to a host, and a stream
 * takes one for itself.
 */
export function startLive(): void {
  let stop: (() => void) | null = null;
  let following = "";
  // A page that is looked at is in use, also where it only listens.
  setInterval(() => { if (following) void checkSession(); }, keepAlive);
  effect(() => {
    const on = can("metrics") && !paused.value && !hidden.value;
    const filters = wanted.value;
    const next = on ? address("v1/events", filters) : "";
    if (next === following) return;
    stop?.();
    following = next;
    stop = !on ? null : follow(filters, {
      totals: (data: Live) => { totals.value = data; tell("totals")(data); },
      request: tell("request"),
      dropped: tell("dropped"),
      alarm: tell("alarm"),
    }, (s) => { connection.value = s; });
  });
}

/** useEvent calls handler for each event of a name while the component is shown. */
export function useEvent<T>(name: EventName, handler: (data: T) => void): void {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => {
    const f = (data: unknown) => latest.current(data as T);
    const set = listeners.get(name) ?? new Set();
    listeners.set(name, set.add(f));
    return () => { set.delete(f); };
  }, [name]);
}

/** useEntries asks for "request" events under these filters while the component is shown. */
export function useEntries(filters: Params): void {
  const key = JSON.stringify(filters);
  useEffect(() => {
    wanted.value = JSON.parse(key) as Params;
    return () => { wanted.value = nobody; };
  }, [key]);
}
