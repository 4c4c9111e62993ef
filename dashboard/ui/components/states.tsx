// What is shown where there is nothing to show: not yet, not at all, or not allowed.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { ApiError } from "../api";
import type { Query } from "../query";
import { Button, Copy } from "./controls";
import type { Tone } from "./layout";

export function EmptyState(props: { title: string; code?: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{props.title}</p>
      {props.children && <div class="empty-text">{props.children}</div>}
      {props.code && (
        <div class="snippet">
          <pre tabIndex={0} aria-label="Example">{props.code}</pre>
          <Copy text={props.code} label="the example" hideText />
        </div>
      )}
    </div>
  );
}

/** ErrorState shows an answer that is no success as it is meant: what, against which limit, and what to do. */
export function ErrorState(props: { error: ApiError; retry?: () => void; quiet?: boolean }) {
  const e = props.error;
  return (
    <div class="error" role={props.quiet ? undefined : "alert"}>
      <p class="error-title"><span class="mark" aria-hidden="true">■ </span>{e.message}</p>
      {e.fix && <p>{e.fix}</p>}
      {e.limit && <p class="muted">Limit: <code>{e.limit}</code>{e.value && <> = <code>{e.value}</code></>}</p>}
      <div class="error-foot">
        {props.retry && <Button small onClick={props.retry}>Try again</Button>}
        {e.supportID && <span class="muted">Support id <Copy text={e.supportID} label="the support id" /></span>}
      </div>
    </div>
  );
}

export function Skeleton(props: { rows?: number }) {
  return (
    <div class="skeleton" role="status">
      <span class="sr">Loading</span>
      {Array.from({ length: props.rows ?? 4 }, (_, i) => <div key={i} />)}
    </div>
  );
}

/** Loaded shows a query's data, and what is there while there is none. Old data stays visible under an error. */
export function Loaded<T>(props: { query: Query<T>; rows?: number; empty?: (data: T) => ComponentChildren | null | false; children: (data: T) => ComponentChildren }) {
  const { query } = props;
  if (query.data === undefined) {
    return query.error ? <ErrorState error={query.error} retry={query.reload} /> : <Skeleton rows={props.rows} />;
  }
  const instead = props.empty?.(query.data);
  return (
    <>
      {query.error && <p class="stale" role="status">Not up to date: {query.error.message}</p>}
      {instead || props.children(query.data)}
    </>
  );
}

interface Notice { id: number; text: string; tone: Tone }

const notices = signal<Notice[]>([]);
let last = 0;

/** notify shows a short message for a while; screen readers say it. */
export function notify(text: string, tone: Tone = "ok"): void {
  const id = ++last;
  notices.value = [...notices.peek().slice(-2), { id, text, tone }];
  setTimeout(() => { notices.value = notices.peek().filter((n) => n.id !== id); }, tone === "bad" || tone === "warn" ? 10_000 : 4_000);
}

/** Notices is where notify's messages appear; the shell has one. */
export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map((n) => <p key={n.id} class={`notice tone-${n.tone}`}>{n.text}</p>)}
    </div>
  );
}
