// The URL is the state: page, id and parameters stand behind the #, so that a link shows what its sender saw.

import { computed, signal } from "@preact/signals";

export const pageNames = [
  "overview", "operations", "requests", "request", "cache", "queue", "reliability", "alarms", "cost", "configuration",
] as const;

export type PageName = (typeof pageNames)[number];

interface Route { page: PageName; id: string; params: URLSearchParams }

function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [name = "", ...rest] = path.split("/");
  const page = (pageNames as readonly string[]).includes(name) ? (name as PageName) : "overview";
  let id = rest.join("/");
  try {
    id = decodeURIComponent(id);
  } catch {
    id = ""; // not what href makes
  }
  return { page, id, params: new URLSearchParams(query) };
}

const current = signal<Route>(parse(location.hash));
window.addEventListener("hashchange", () => { current.value = parse(location.hash); });

/** route is where we are. */
export const route = computed(() => current.value);

/** param is a parameter of the URL. */
export function param(name: string, otherwise = ""): string {
  return current.value.params.get(name) ?? otherwise;
}

function text(page: PageName, id: string, params: URLSearchParams): string {
  const query = params.toString();
  return `#/${page}${id ? "/" + encodeURIComponent(id) : ""}${query ? "?" + query : ""}`;
}

/** href is the link to a page. */
export function href(page: PageName, params?: Record<string, string | undefined>, id = ""): string {
  const all = new URLSearchParams();
  for (const [name, value] of Object.entries(params ?? {})) if (value) all.set(name, value);
  return text(page, id, all);
}

/** go opens a page. */
export function go(page: PageName, params?: Record<string, string | undefined>, id = ""): void {
  location.hash = href(page, params, id);
}

/**
 * setParams changes parameters of the URL: null, undefined and "" remove one. It replaces the entry in the
 * history, so that "back" leaves the page and not the last keystroke; push makes a new one.
 */
export function setParams(changes: Record<string, string | null | undefined>, push = false): void {
  const { page, id, params } = current.peek();
  const next = new URLSearchParams(params);
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  const hash = text(page, id, next);
  if (hash === location.hash) return;
  history[push ? "pushState" : "replaceState"](null, "", hash);
  current.value = parse(hash);
}

/** windows are the ranges that may be chosen. */
export const windows = ["15m", "1h", "6h", "24h", "7d", "30d"] as const;

/** timeWindow is the range that was chosen. */
export function timeWindow(): string {
  const chosen = param("window", "1h");
  return (windows as readonly string[]).includes(chosen) ? chosen : "1h";
}

/** windowSeconds is a range's length. */
export function windowSeconds(range = timeWindow()): number {
  const unit = { m: 60, h: 3600, d: 86400 }[range.slice(-1)] ?? 60;
  return Number(range.slice(0, -1)) * unit;
}
