// The client of the JSON API. Every path is relative to the page's own address, so that the dashboard works
// under any prefix.

import { signal } from "@preact/signals";
import type { Session } from "./types";

/** Params are a query's parameters. A list repeats its name; what is empty is left out. */
export type Params = Record<string, string | number | boolean | readonly string[] | undefined | null>;

/** The API stands beside /ui/, where this page is. */
const base = new URL("../", document.baseURI);

/** session says who is asking; null before that is known and after the logout. */
export const session = signal<Session | null>(null);

/** expired is raised by every answer that says that the session is over. */
export const expired = signal(false);

/** can says that the session's key has the scope. */
export function can(scope: string): boolean {
  const scopes = session.value?.scopes ?? [];
  return scopes.includes(scope) || ((scope === "cache" || scope === "jobs") && scopes.includes("admin"));
}

/** mayChange says that changes which need the scope are possible here. */
export function mayChange(scope: string): boolean {
  return can(scope) && !session.value?.read_only;
}

/** ApiError is an answer that is no success, as problem+json tells it. */
export class ApiError extends Error {
  status: number;
  kind: string;
  title: string;
  fix: string;
  limit: string;
  value: string;
  supportID: string;
  retryAfterMS: number;

  constructor(status: number, body: Record<string, unknown>) {
    const text = (name: string) => (typeof body[name] === "string" ? (body[name] as string) : "");
    const fix = text("fix");
    let detail = text("detail") || text("title") || `The gateway answered ${status}.`;
    // The detail ends with the fix, which is shown in a place of its own.
    if (fix && detail.endsWith(fix)) detail = detail.slice(0, -fix.length).trimEnd();
    super(detail.charAt(0).toUpperCase() + detail.slice(1)); // the API's messages begin small, as Go's do
    this.name = "ApiError";
    this.status = status;
    this.kind = text("error_type");
    this.title = text("title");
    this.fix = fix;
    this.limit = text("limit");
    this.value = text("value");
    this.supportID = text("support_id");
    this.retryAfterMS = typeof body["retry_after_ms"] === "number" ? body["retry_after_ms"] : 0;
  }

  /** unreachable is what stands for an answer that never came. */
  static unreachable(cause: unknown): ApiError {
    return new ApiError(0, {
      title: "No answer",
      detail: "The gateway cannot be reached" + (cause instanceof Error && cause.message ? ` (${cause.message}).` : "."),
      fix: "Check that it runs and that the network lets you through; this page tries again by itself.",
    });
  }
}

/** root is the address of the gateway, for examples. */
export const root = base.href.replace(/\/$/, "");

/** address is the URL of an API path with its parameters. */
export function address(path: string, params?: Params): string {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(params ?? {})) {
    for (const v of Array.isArray(value) ? value : [value]) {
      if (v !== undefined && v !== null && v !== "") url.searchParams.append(name, String(v));
    }
  }
  return url.href;
}

/** over is the end of a session: the login is shown, and nothing more is asked for. */
function over(): void {
  session.value = null;
  expired.value = true;
}

async function problemOf(answer: Response): Promise<ApiError> {
  let body: Record<string, unknown> = {};
  try {
    body = (await answer.json()) as Record<string, unknown>;
  } catch {
    body = { title: answer.statusText }; // a proxy's page, or nothing
  }
  return new ApiError(answer.status, body);
}

async function send<T>(method: string, path: string, options: { params?: Params; body?: unknown; signal?: AbortSignal }): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (method !== "GET") headers["x-forebay-csrf"] = session.peek()?.csrf ?? "";
  if (options.body !== undefined) headers["content-type"] = "application/json";
  let answer: Response;
  try {
    answer = await fetch(address(path, options.params), {
      method, headers, cache: "no-store", credentials: "same-origin",
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal,
    });
  } catch (e) {
    if (options.signal?.aborted) throw e;
    throw ApiError.unreachable(e);
  }
  // 503 of /v1/health is an answer: it has the body that was asked for.
  if (answer.ok || (answer.status === 503 && path === "v1/health")) {
    const text = await answer.text();
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }
  const error = await problemOf(answer);
  if (error.status === 401 && path !== "ui/login") over();
  throw error;
}

export const api = {
  get: <T>(path: string, params?: Params, signal?: AbortSignal) => send<T>("GET", path, { params, signal }),
  post: <T>(path: string, body?: unknown) => send<T>("POST", path, { body }),
  patch: <T>(path: string, body?: unknown) => send<T>("PATCH", path, { body }),
  del: <T>(path: string) => send<T>("DELETE", path, {}),
};

/** checkSession shows the login where the session is over. It says whether it is. */
export async function checkSession(): Promise<boolean> {
  try {
    const { login } = await api.get<{ login: boolean }>("ui/session");
    if (login) over();
    return login;
  } catch {
    return false; // whoever asks next is told
  }
}

/** loadSession asks who we are, unless nobody has logged in. */
export async function loadSession(): Promise<void> {
  if (await checkSession()) return;
  session.value = await api.get<Session>("v1/me");
  expired.value = false;
}

/** login begins a session with a key. */
export async function login(key: string): Promise<void> {
  await send("POST", "ui/login", { body: { key } });
  await loadSession();
}

/** logout ends the session. */
export async function logout(): Promise<void> {
  await send("POST", "ui/logout", {});
  over();
}
