// One request: where its time went, who tried, why it was cached or not, what it cost.

import { api } from "../api";
import { Badge, Card, Copy, EmptyState, Grid, KeyValues, Loaded, Page, Table, Time, Waterfall, type Column, type Span } from "../components";
import { count, nanos, usd, words } from "../format";
import { useQuery } from "../query";
import { href, route } from "../route";
import type { Attempt, Entry } from "../types";
import { cacheTone, outcomeTone } from "./requests";

/** Why there was no hit, in the words of the cache's reasons. */
const reasons: Record<string, string> = {
  never_seen: "No answer to this very request was stored, as far as is known. Compare two requests with /v1/cache/explain to see which field differs.",
  expired: "There was an answer, and it was no longer fresh. A longer time to live would have made it a hit.",
  invalidated: "There was an answer, and it had been declared void.",
  scope: "Somebody else has an answer to this; the operation’s scope keeps it from being shared.",
  evicted: "There was an answer, and it had to make room. More memory or a persistent tier would have kept it.",
  undecryptable: "There was an answer, and its data key is gone.",
  damaged: "There was an answer, and it did not pass its check.",
  store_down: "The cache’s store failed, or did not answer in time.",
};

const statuses: Record<string, string> = {
  hit: "The answer came from the cache; no model was called.",
  stale_hit: "The answer had expired just now and was given all the same, while a new one was fetched behind it.",
  collapsed: "An identical call was under way: this one shared its answer.",
  miss: "The cache had no answer.",
  stale: "The cache’s answer had expired.",
  bypass: "The call or its operation did not want the cache.",
  off: "No cache is configured.",
};

const details: Record<string, string> = {
  negative: "It is a provider’s refusal that is repeated.", "stale-if-error": "It had expired; every target had failed.", similar: "It is the answer to a similar request.",
};

/** spans are the stages of a call, and each attempt with its wait, its first token and its end. */
export function spans(e: Entry): Span[] {
  const all: Span[] = [];
  if (e.lookup_ns) all.push({ name: "Cache look-up", start: 0, duration: e.lookup_ns, tone: cacheTone(e.cache) === "ok" ? "ok" : "none", note: words(e.cache) + (e.cache_reason ? `: ${words(e.cache_reason)}` : "") });
  const attempts = e.attempts ?? [];
  if (attempts.length === 0) {
    if (e.queue_ns) all.push({ name: "Queue", start: e.lookup_ns ?? 0, duration: e.queue_ns, tone: "warn", note: e.outcome === "refused" ? "refused before it got a slot" : undefined });
    const rest = e.duration_ns - (e.lookup_ns ?? 0) - (e.queue_ns ?? 0) - (e.overhead_ns ?? 0);
    if (e.cache === "collapsed" && rest > 0) all.push({ name: "Shared call", start: e.lookup_ns ?? 0, duration: rest, tone: "info", note: "waited for the identical call’s answer" });
  }
  let end = e.lookup_ns ?? 0;
  attempts.forEach((a, i) => {
    const waited = a.waited_ns ?? 0;
    const pause = a.start_ns - waited - end;
    if (i > 0 && pause > 1e6) all.push({ name: "Pause", start: end, duration: pause, tone: "none", note: "before the next attempt" });
    if (waited > 0) all.push({ name: "Queue", start: a.start_ns - waited, duration: waited, tone: "warn", note: `for a slot of ${a.target}` });
    all.push({ name: `Attempt ${i + 1}: ${a.target}`, start: a.start_ns, duration: a.duration_ns, tone: a.error_type ? "bad" : "info", note: a.error_type ? words(a.error_type) : a.region || undefined });
    if (a.first_token_ns) all.push({ name: "to the first token", start: a.start_ns, duration: a.first_token_ns, tone: "ok", inner: true });
    end = a.start_ns + a.duration_ns;
  });
  if (e.fallback) all.push({ name: `Fallback: ${e.fallback}`, start: end, duration: Math.max(e.duration_ns - end, 0), tone: "warn", note: e.template ? `template of ${e.template}` : undefined });
  return all;
}

const columns: Column<Attempt & { n: number }>[] = [
  { key: "n", head: "No.", cell: (a) => a.n },
  { key: "target", head: "Target", cell: (a) => <>{a.target}{a.region && <span class="cell-sub">{a.region}</span>}</> },
  { key: "result", head: "Result", cell: (a) => (a.error_type ? <Badge tone="bad">{words(a.error_type)}</Badge> : <Badge tone="ok">answered</Badge>) },
  { key: "start", head: "Began at", align: "end", cell: (a) => nanos(a.start_ns) },
  { key: "waited", head: "Waited", align: "end", cell: (a) => nanos(a.waited_ns ?? 0) },
  { key: "first", head: "First token", align: "end", cell: (a) => (a.first_token_ns ? nanos(a.first_token_ns) : "–") },
  { key: "duration", head: "Duration", align: "end", cell: (a) => nanos(a.duration_ns) },
];

function CacheCard(props: { e: Entry }) {
  const { e } = props;
  return (
    <Card title="Cache">
      <p><Badge tone={cacheTone(e.cache)}>{words(e.cache)}</Badge> {statuses[e.cache] ?? ""} {details[e.cache_detail ?? ""] ?? ""}</p>
      {e.cache_reason && <p class="gap">{reasons[e.cache_reason] ?? words(e.cache_reason)}</p>}
      <p class="gap muted">{e.stored ? "The answer was stored for the next such request." : cacheTone(e.cache) === "ok" ? "" : "The answer was not stored."}</p>
      {e.cache_key && <p class="gap">Cache key <Copy text={e.cache_key} shown={`${e.cache_key.slice(0, 16)}…`} label="the cache key" /> <a href={href("cache", { key: e.cache_key })}>Invalidate</a></p>}
    </Card>
  );
}

function CostCard(props: { e: Entry }) {
  const { e } = props;
  const u = e.usage;
  return (
    <Card title="Tokens and cost">
      <KeyValues items={[
        ["Cost of all attempts", usd(e.micro_usd)],
        ["Saved", !!e.saved_micro_usd && usd(e.saved_micro_usd)],
        ["Tokens in", count(u.input)],
        ["Tokens out", count(u.output)],
        ["Read from the provider’s cache", !!u.cache_read && count(u.cache_read)],
        ["Written to it", !!u.cache_write && count(u.cache_write)],
        ["Tokens of an answer a second", !!e.first_token_ns && e.duration_ns > e.first_token_ns && u.output > 1 && cacheTone(e.cache) !== "ok" && ((u.output - 1) / ((e.duration_ns - e.first_token_ns) / 1e9)).toFixed(1)],
      ]} />
      {e.estimated && <p class="gap muted">The usage is estimated: the provider told none.</p>}
    </Card>
  );
}

/** traceID is the id in a traceparent: version, trace, span, flags. */
function traceID(traceparent: string): string {
  return traceparent.split("-")[1] ?? traceparent;
}

function Details(props: { e: Entry }) {
  const { e } = props;
  const attempts = (e.attempts ?? []).map((a, i) => ({ ...a, n: i + 1 }));
  return (
    <>
      <Card>
        <KeyValues items={[
          ["Outcome", <><Badge tone={outcomeTone(e.outcome)}>{e.outcome}</Badge>{e.error_type && <span class="cell-sub">{words(e.error_type)}</span>}</>],
          ["Began", <Time at={e.start} as="full" />],
          ["Duration", nanos(e.duration_ns)],
          ["First token", !!e.first_token_ns && nanos(e.first_token_ns)],
          ["Added by Forebay", !!e.overhead_ns && nanos(e.overhead_ns)],
          ["Operation", <a href={href("requests", { operation: e.operation })}>{e.operation}</a>],
          ["Model", e.model],
          ["Answered by", e.provider ? `${e.provider}/${e.answered ?? ""}${e.region ? `, ${e.region}` : ""}` : ""],
          ["Fallback", e.fallback && <Badge tone="warn">{e.fallback}</Badge>],
          ["User", e.user && <a href={href("requests", { user: e.user })}>{e.user}</a>],
          ["Tenant", e.tenant],
          ["Key", e.key],
          ["Persona", e.persona],
          ["Priority", e.priority],
          ["Kind", [e.stream && "streamed", e.job && "durable job"].filter(Boolean).join(", ")],
          ["Endpoint", <code>{e.endpoint}</code>],
          ["Request id", <Copy text={e.id} label="the request id" />],
          ["Trace id", e.trace && <Copy text={traceID(e.trace)} label="the trace id" />],
          ["Trace of the caller", e.trace_parent && traceID(e.trace_parent) !== traceID(e.trace ?? "") && <Copy text={traceID(e.trace_parent)} label="the trace id of the caller" />],
        ]} />
      </Card>
      <Card title="Where the time went">
        {spans(e).length > 0 ? <Waterfall label="Stages of the call, in their order" total={e.duration_ns} spans={spans(e)} /> : <p class="muted">Nothing but the answer itself was measured.</p>}
      </Card>
      <Grid columns={2}>
        <CacheCard e={e} />
        <CostCard e={e} />
      </Grid>
      {attempts.length > 0 && (
        <Card title="Attempts" flush>
          <Table label="Attempts" rows={attempts} columns={columns} id={(a) => a.n} tone={(a) => (a.error_type ? "bad" : undefined)} />
        </Card>
      )}
    </>
  );
}

export default function RequestPage() {
  const seq = route.value.id;
  const query = useQuery((signal) => api.get<Entry>(`v1/requests/${encodeURIComponent(seq)}`, undefined, signal), [seq]);
  return (
    <Page title={`Request ${seq}`} about={<a href={href("requests")}>All requests</a>}>
      {seq === ""
        ? <EmptyState title="No request was chosen"><a href={href("requests")}>Choose one in the log</a>.</EmptyState>
        : <Loaded query={query} rows={10}>{(e) => <Details e={e} />}</Loaded>}
    </Page>
  );
}
