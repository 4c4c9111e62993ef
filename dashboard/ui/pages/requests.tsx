// Requests: the log of calls, live. What is filtered stands in the URL; pages go by a cursor, never by a count.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { api, type Params } from "../api";
import { Badge, Button, Card, EmptyState, FilterBar, Icon, Loaded, Page, Table, Time, notify, type Column, type FilterKey, type Tone } from "../components";
import { clock, compact, count, dateTime, nanos, usd, words } from "../format";
import { liveState, paused, useEntries, useEvent } from "../live";
import { useQuery } from "../query";
import { href, param, setParams, windowSeconds } from "../route";
import type { Entry, RequestList } from "../types";
import { csv, jsonLines, save } from "../download";

/** No more rows than this are drawn: a page of the log, and what has come live since. */
const pageRows = 50;
const liveRows = 200;

/** A page of the log that is no older than this, in milliseconds, is not loaded again when the stream opens. */
const recent = 1500;

/** Milliseconds between two drawings of what came live. */
const drawEvery = 400;

const outcomes: Record<string, Tone> = { ok: "ok", degraded: "warn", refused: "warn", error: "bad", cancelled: "none" };
const caches: Record<string, Tone> = { hit: "ok", stale_hit: "ok", collapsed: "ok", miss: "none", stale: "none", bypass: "none", off: "none" };

/** outcomeTone is the tone of an outcome. */
export function outcomeTone(outcome: string): Tone {
  return outcomes[outcome] ?? "none";
}

/** cacheTone is the tone of a cache's status. */
export function cacheTone(status: string): Tone {
  return caches[status] ?? "none";
}

/** A duration as it was typed, without the comparison; a bare number means seconds. */
const duration = (typed: string) => {
  const bare = typed.replace(/^>=?/, "");
  return /^\d+(\.\d+)?$/.test(bare) ? `${bare}s` : bare;
};

const keys: FilterKey[] = [
  { key: "op", param: "operation", about: "the operation" },
  { key: "status", param: "outcome", about: "how it ended", values: Object.keys(outcomes) },
  { key: "failed", param: "failed", about: "errors and refusals", values: ["true"] },
  { key: "error", param: "error_type", about: "the kind of error", values: [
    "provider_timeout", "provider_overloaded", "provider_rate_limited", "provider_error", "provider_connection_failed", "provider_truncated", "provider_malformed",
    "provider_auth_failed", "provider_quota_exceeded", "provider_rejected", "provider_filtered", "provider_context_exceeded", "policy_overloaded", "policy_rate_limited",
    "policy_budget_exceeded", "policy_blocked", "policy_breaker_open", "policy_residency", "caller_invalid_request", "caller_deadline", "caller_cancelled", "forebay_internal", "forebay_unavailable",
  ] },
  { key: "cache", param: "cache", about: "what the cache did", values: Object.keys(caches) },
  { key: "latency", param: "min_duration", about: "at least so long, such as >3s", read: duration },
  { key: "cost", param: "min_usd", about: "at least so many dollars, such as >0.05", read: (t) => t.replace(/^>?=?\$?/, "") },
  { key: "model", param: "model", about: "the model, in configuration’s name" },
  { key: "provider", param: "provider", about: "who answered" },
  { key: "fallback", param: "fallback", about: "what answered instead", values: ["cached", "template", "simplified", "similar", "error"] },
  { key: "user", param: "user", about: "the user" },
  { key: "key", param: "key", about: "the caller’s key, by name" },
  { key: "tenant", param: "tenant", about: "the tenant" },
  { key: "id", param: "id", about: "the request’s id" },
];

const columns: Column<Entry>[] = [
  { key: "start", head: "Time", cell: (e) => <Time at={e.start} as="clock" /> },
  { key: "outcome", head: "Outcome", cell: (e) => <><Badge tone={outcomeTone(e.outcome)}>{e.outcome}</Badge>{e.fallback && <> <Badge tone="warn" title="What answered instead">{e.fallback}</Badge></>}{e.error_type && <span class="cell-sub">{words(e.error_type)}</span>}</> },
  { key: "operation", head: "Operation", cell: (e) => <><span class="nowrap">{e.operation}</span><span class="cell-sub">{e.model}{e.provider ? ` · ${e.provider}` : ""}</span></> },
  { key: "user", head: "User", cell: (e) => <>{e.user ? <span class="nowrap">{e.user}</span> : <span class="muted">–</span>}<span class="cell-sub">{e.tenant}</span></> },
  { key: "duration", head: "Duration", align: "end", cell: (e) => <>{nanos(e.duration_ns)}{!!e.first_token_ns && e.first_token_ns < e.duration_ns && <span class="cell-sub">first {nanos(e.first_token_ns)}</span>}</> },
  { key: "cache", head: "Cache", cell: (e) => <><Badge tone={cacheTone(e.cache)}>{words(e.cache)}</Badge>{e.cache_reason && <span class="cell-sub">{words(e.cache_reason)}</span>}</> },
  { key: "tokens", head: "Tokens", align: "end", cell: (e) => <>{compact(e.usage.input)} → {compact(e.usage.output)}</> },
  { key: "cost", head: "Cost", align: "end", cell: (e) => <>{usd(e.micro_usd)}{!!e.saved_micro_usd && <span class="cell-sub">saved {usd(e.saved_micro_usd)}</span>}</> },
];

/** filters are those of the URL; the time range counts only where it was chosen. */
function filters(): Params {
  const all: Params = {};
  for (const k of keys) all[k.param] = param(k.param);
  all["from"] = param("from");
  all["to"] = param("to");
  return all;
}

/** What came live and what was lost on the way. */
function useTail(on: boolean, wanted: Params) {
  const fresh = useSignal<Entry[]>([]);
  const waiting = useSignal(0);
  const skipped = useSignal(0);
  const come = useRef<Entry[]>([]); // newest first, not yet drawn
  const timer = useRef(0);
  const draw = () => {
    timer.current = 0;
    if (paused.peek() || come.current.length === 0) return; // it is drawn when the list goes on
    const all = come.current.splice(0);
    // Who has scrolled down is reading: rows must not move under the eyes.
    if (window.scrollY > 120) waiting.value += all.length;
    fresh.value = [...all, ...fresh.peek()].slice(0, liveRows);
  };
  useEffect(draw, [paused.value]);
  useEntries(on ? wanted : { id: "-" });
  useEvent<Entry>("request", (e) => {
    // What the log has not numbered cannot be opened; what was numbered is found there.
    if (!on || e.seq === 0) return;
    come.current.unshift(e);
    // A few times a second is as often as people can see, and drawing is what costs.
    timer.current ||= window.setTimeout(draw, drawEvery);
  });
  useEvent<{ count: number }>("dropped", (d) => { if (on) skipped.value += d.count; });
  useEffect(() => {
    come.current = [];
    fresh.value = [];
    waiting.value = 0;
    skipped.value = 0;
    return () => {
      clearTimeout(timer.current);
      timer.current = 0;
    };
  }, [JSON.stringify(wanted), on]);
  return { fresh, waiting, skipped };
}

function Rows(props: { list: RequestList; live: boolean; wanted: Params }) {
  const { fresh, waiting, skipped } = useTail(props.live, props.wanted);
  const frozen = useRef<Entry[]>([]);
  const old = props.list.data ?? [];
  const newest = old[0]?.seq ?? 0;
  const moving = fresh.value.filter((e) => e.seq > newest);
  if (waiting.value === 0) frozen.current = moving;
  const rows = useMemo(() => [...frozen.current, ...old], [frozen.current, old]);
  const show = () => {
    waiting.value = 0;
    window.scrollTo({ top: 0 });
  };
  return (
    <>
      <div class="new-rows">
        {waiting.value > 0 && <Button kind="primary" small onClick={show}>{count(waiting.value)} new</Button>}
      </div>
      <p class="sr" role="status">{waiting.value > 0 ? `${waiting.value} new calls` : ""}</p>
      <Table label="Requests" rows={rows} columns={columns} id={(e) => e.seq} limit={pageRows + liveRows} link={(e) => href("request", {}, String(e.seq))}
        tone={(e) => (e.outcome === "error" ? "bad" : e.outcome === "degraded" || e.outcome === "refused" ? "warn" : undefined)} empty={<Nothing />} />
      {skipped.value > 0 && <p class="nothing">{count(skipped.value)} more came than can be shown live (20 a second). They are in the log: reload, or narrow the filters.</p>}
      <Pager list={props.list} rows={rows} />
    </>
  );
}

function Nothing() {
  const filtered = keys.some((k) => param(k.param));
  if (filtered) return <EmptyState title="No call matches"><button type="button" class="button" onClick={() => setParams(Object.fromEntries(keys.map((k) => [k.param, null])))}>Clear the filters</button></EmptyState>;
  return <EmptyState title="The log is empty">Calls appear here as they end. Prompts and answers are not kept.</EmptyState>;
}

function Pager(props: { list: RequestList; rows: readonly Entry[] }) {
  const { next } = props.list;
  const name = `requests-${dateTime(Date.now()).replace(/\D/g, "")}`;
  const write = (kind: "csv" | "jsonl") => {
    save(`${name}.${kind}`, kind === "csv" ? csv(props.rows) : jsonLines(props.rows), kind === "csv" ? "text/csv" : "application/x-ndjson");
    notify(`${props.rows.length} rows saved.`);
  };
  return (
    <div class="pager">
      <div class="page-tools">
        {param("before") && <Button onClick={() => setParams({ before: null }, true)}>Newest</Button>}
        {next ? <Button onClick={() => { setParams({ before: String(next) }, true); window.scrollTo({ top: 0 }); }}>Older</Button> : props.rows.length > 0 && <span class="muted">That is all.</span>}
      </div>
      <div class="page-tools">
        <Button kind="quiet" onClick={() => write("csv")} title="The rows that are shown"><Icon name="download" /> CSV</Button>
        <Button kind="quiet" onClick={() => write("jsonl")} title="The rows that are shown"><Icon name="download" /> JSON lines</Button>
      </div>
    </div>
  );
}

function Since() {
  const from = param("from");
  const choose = (range: string) => setParams({ from: range ? new Date(Date.now() - windowSeconds(range) * 1000).toISOString().slice(0, 19) + "Z" : null, to: null, before: null });
  return from
    ? <Button small onClick={() => choose("")} title="Show all times">Since {new Date(from).toDateString() === new Date().toDateString() ? clock(from) : dateTime(from)} ✕</Button>
    : <span class="tabs" role="group" aria-label="Since">{["15m", "1h", "24h"].map((w) => <button type="button" key={w} onClick={() => choose(w)}>{w}</button>)}</span>;
}

export default function Requests() {
  const wanted = filters();
  const before = param("before");
  const query = useQuery((signal) => api.get<RequestList>("v1/requests", { ...wanted, before, limit: pageRows }, signal), [wanted, before]);
  const live = before === "" && param("to") === "";
  // Whatever ended while no stream was open is in the log by now: a pause, a hidden tab, a lost connection.
  const loaded = useRef(0);
  useEffect(() => { loaded.current = Date.now(); }, [query.data]);
  useEffect(() => {
    if (live && liveState.value === "open" && Date.now() - loaded.current > recent) query.reload();
  }, [liveState.value]);
  return (
    <Page title="Requests" about={live ? "Calls as they end, newest first. Prompts and answers are not kept." : "An older page of the log; it does not move."} live={live} actions={<Since />}>
      <FilterBar keys={keys} bare="id" label="Filter requests" placeholder="op:analysis status:error latency:>3s" />
      <Card flush>
        <Loaded query={query} rows={12}>{(list) => <Rows list={list} live={live} wanted={wanted} />}</Loaded>
      </Card>
    </Page>
  );
}
