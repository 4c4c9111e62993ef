// What the cache does: how often it answers, what that saves, why it does not, and making answers void.

import { useState } from "preact/hooks";
import { api, mayChange } from "../api";
import { Badge, Button, Card, Copy, EmptyState, Grid, KeyValues, Loaded, Page, SeriesChart, Stat, Table } from "../components";
import { bytes, compact, count, percent, seconds, usd } from "../format";
import { useQuery } from "../query";
import { href, param, setParams, timeWindow } from "../route";
import type { CacheCounts, CacheState } from "../types";
import { Invalidate } from "./invalidate";
import { RatioChart, ratios, useSums } from "./ratio";
import { Share } from "./share";

/** What a miss was for, in words, and what helps. The names are those of the API. */
const reasons: Record<string, [name: string, about: string]> = {
  never_seen: ["Not seen before", "Nobody has asked this. If it should have matched, ask /v1/cache/explain what differs."],
  expired: ["Expired", "The answer was too old. A longer time to live for the operation keeps it."],
  invalidated: ["Made void", "Someone invalidated it, here or through the API."],
  scope: ["Belongs to somebody else", "Only another user or tenant has an answer. A wider scope for the operation shares it."],
  evicted: ["Had to make room", "The memory is too small for what is asked: give the cache more, or a persistent tier."],
  undecryptable: ["Key is gone", "The data key that sealed it was destroyed; this is what erasing a user does."],
  damaged: ["Damaged", "The stored bytes are not what was written. Check the disk; the answer was not used."],
  store_down: ["Store did not answer", "The persistent tier failed or was too slow; memory goes on alone."],
};

export default function Cache() {
  const state = useQuery<CacheState>((signal) => api.get("v1/cache", {}, signal), [], 5_000);
  const open = param("invalidate") !== "";
  const off = state.error?.limit === "cache.enabled";
  const close = () => setParams({ invalidate: null, key: null });
  const actions = mayChange("cache") && !off
    ? <Button kind="danger" onClick={() => setParams({ invalidate: "1" })}>Invalidate…</Button> : undefined;
  return (
    <Page title="Cache" about="How often a stored answer could be given, what that saves, and why it could not." range live actions={actions}>
      {off ? <CacheOff /> : (
        <>
          <Loaded query={state}>{(s) => <Contents state={s} />}</Loaded>
          <Invalidate open={open} onClose={close} operations={Object.keys(state.data?.operations ?? {})}
            cacheKey={param("key")} onDone={state.reload} />
        </>
      )}
    </Page>
  );
}

function CacheOff() {
  return (
    <EmptyState title="The response cache is off" code={"cache:\n  enabled: true"}>
      Repeated requests go to a provider each time. Switch the cache on in the configuration and start the gateway again.
    </EmptyState>
  );
}

function Contents({ state }: { state: CacheState }) {
  const looked = state.hits + state.stale_hits + state.misses;
  return (
    <>
      <Figures state={state} />
      <Grid columns={3}>
        <Card><RatioChart title="Hit rate" part={["hits"]} whole={["hits", "misses"]} tone="ok" height={200} /></Card>
        <Card>
          <RatioChart title="Hit rate by operation" part={["hits"]} whole={["hits", "misses"]} by="operation" height={200} />
        </Card>
        <Card>
          <SeriesChart title="Saved money" about="What hits and shared calls would have cost" lines={[{ q: "sum:saved", label: "Saved", tone: "ok", area: true }]} unit="micro_usd" height={200} />
        </Card>
      </Grid>
      <Card title="Why calls missed" about="Since the start of the process.">
        {looked === 0 ? <NothingYet /> : <Misses reasons={state.miss_reasons ?? {}} total={state.misses} />}
      </Card>
      <Card title="Operations" about="Counts since the start of the process."><Operations operations={state.operations ?? {}} /></Card>
      <Grid columns={2}>
        <Card title="Memory"><Memory state={state} /></Card>
        <Card title="Persistent tier"><Persistent store={state.store} /></Card>
      </Grid>
      <Card title="Given most often" about="Stored answers by how often they were given."><Top state={state} /></Card>
    </>
  );
}

function NothingYet() {
  return (
    <EmptyState title="No look-ups yet" code={'curl localhost:8080/v1/chat/completions -d \'{"model":"…","messages":[…]}\''}>
      Send the same request twice: the second is answered from the cache, and its header Cache-Status says so.
    </EmptyState>
  );
}

function Figures({ state }: { state: CacheState }) {
  const sums = useSums(["hits", "misses", "saved"]);
  const rate = ratios(sums.data, ["hits"], ["hits", "misses"])[0];
  const total = (metric: string) =>
    (sums.data?.series ?? []).filter((l) => l.metric === metric).flatMap((l) => l.values ?? []).reduce<number>((a, v) => a + (v ?? 0), 0);
  const hits = total("hits");
  const all = hits + total("misses");
  return (
    <Grid columns={4}>
      <Stat label={`Hit rate, ${timeWindow()}`} value={all > 0 ? percent(hits / all) : "–"} spark={rate?.values}
        note={`${count(hits)} of ${count(all)} calls`} tone={all > 0 ? "ok" : "none"} />
      <Stat label="Saved since the start" value={usd(state.saved_usd * 1e6)} note={`${compact(state.saved_tokens)} tokens not asked for`} />
      <Stat label="Answers in memory" value={count(state.entries)} note={`${bytes(state.bytes)}`} />
      <Stat label="Evictions" value={count(state.evictions)} tone={state.evictions > state.entries && state.entries > 0 ? "warn" : "none"}
        note={state.evictions === 0 ? "there is room for all" : "answers that had to make room"} />
    </Grid>
  );
}

function Misses({ reasons: found, total }: { reasons: Record<string, number>; total: number }) {
  const rows = Object.entries(found).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  if (rows.length === 0) return <EmptyState title="No misses">Every look-up so far found an answer.</EmptyState>;
  return (
    <Table label="Why calls missed" name="misses" rows={rows} id={([name]) => name} columns={[
      { key: "reason", head: "Reason", wide: true, cell: ([name]) => <>{reasons[name]?.[0] ?? name}<span class="cell-sub">{reasons[name]?.[1] ?? ""}</span></> },
      { key: "count", head: "Misses", align: "end", cell: ([, n]) => count(n), sort: ([, n]) => n },
      { key: "share", head: "Share", cell: ([name, n]) => <Share share={n / Math.max(total, 1)} name={reasons[name]?.[0] ?? name} text={percent(n / Math.max(total, 1), 0)} /> },
    ]} />
  );
}

function Operations({ operations }: { operations: Record<string, CacheCounts> }) {
  const rows = Object.entries(operations).map(([name, c]) => {
    const given = c.hits + c.stale_hits;
    return { name, given, rate: given + c.misses > 0 ? given / (given + c.misses) : 0, ...c };
  });
  return (
    <Table label="Cache by operation" name="ops" rows={rows} id={(r) => r.name} sort="-given" columns={[
      { key: "name", head: "Operation", cell: (r) => <a href={href("requests", { operation: r.name })}>{r.name}</a>, sort: (r) => r.name },
      { key: "rate", head: "Hit rate", cell: (r) => <Share share={r.rate} tone="ok" name={`Hit rate of ${r.name}`} text={percent(r.rate, 0)} />, sort: (r) => r.rate },
      { key: "given", head: "Hits", align: "end", cell: (r) => count(r.given), sort: (r) => r.given, title: "Stale answers included" },
      { key: "stale", head: "Stale", align: "end", cell: (r) => count(r.stale_hits), sort: (r) => r.stale_hits, title: "Given past their time, within what the operation allows" },
      { key: "misses", head: "Misses", align: "end", cell: (r) => count(r.misses), sort: (r) => r.misses },
      { key: "coalesced", head: "Shared", align: "end", cell: (r) => count(r.coalesced), sort: (r) => r.coalesced, title: "Calls that waited for the same call of somebody else" },
      { key: "bypassed", head: "Bypassed", align: "end", cell: (r) => count(r.bypassed), sort: (r) => r.bypassed, title: "Calls that did not want a stored answer" },
      { key: "tokens", head: "Saved tokens", align: "end", cell: (r) => compact(r.saved_tokens), sort: (r) => r.saved_tokens },
      { key: "saved", head: "Saved", align: "end", cell: (r) => usd(r.saved_usd * 1e6), sort: (r) => r.saved_usd },
    ]} empty={<EmptyState title="No operation has asked yet">Operations appear with their first call.</EmptyState>} />
  );
}

function Memory({ state }: { state: CacheState }) {
  return (
    <KeyValues items={[
      ["Answers", count(state.entries)],
      ["Bytes", bytes(state.bytes)],
      ["Stored since the start", count(state.stored)],
      ["Evicted", count(state.evictions)],
      ["Too large to keep", count(state.too_large)],
      ["Invalidations", count(state.invalidations)],
      ["Hits that repeated a refusal", count(state.refusal_hits)],
    ]} />
  );
}

function Persistent({ store }: { store: CacheState["store"] }) {
  if (!store) {
    return (
      <EmptyState title="No persistent tier" code={"store:\n  dir: /var/lib/forebay"}>
        Answers are lost with the process. Give the gateway a directory, and they outlast a restart.
      </EmptyState>
    );
  }
  return (
    <KeyValues items={[
      ["State", store.state === "up" ? <Badge tone="ok">up</Badge> : <Badge tone="bad">down: memory goes on alone</Badge>],
      ["Waiting to be written", bytes(store.waiting_bytes)],
      ["Written", count(store.written)],
      ["Dropped", store.dropped > 0 ? <Badge tone="warn">{count(store.dropped)}</Badge> : "0"],
      ["Damaged", store.damaged > 0 ? <Badge tone="bad">{count(store.damaged)}</Badge> : "0"],
      ["Key is gone", count(store.undecryptable)],
      ["Deleted", count(store.deleted)],
      ["Compression", store.compression > 0 ? `${store.compression.toFixed(1)} : 1` : "–"],
    ]} />
  );
}

function Top({ state }: { state: CacheState }) {
  const [all, setAll] = useState(false);
  if (!state.top) {
    return <EmptyState title="For administrators">The list spans all tenants, so it needs a key with the scope admin.</EmptyState>;
  }
  const some = 10;
  return (
    <>
      <Table label="Answers given most often" name="top" rows={all ? state.top : state.top.slice(0, some)} id={(r) => r.key} columns={[
        { key: "key", head: "Answer", cell: (r) => <Copy text={r.key} shown={r.key.slice(0, 12)} label={`the key ${r.key.slice(0, 12)}`} /> },
        { key: "operation", head: "Operation", cell: (r) => r.operation, sort: (r) => r.operation },
        { key: "model", head: "Model", cell: (r) => r.model, sort: (r) => r.model },
        { key: "hits", head: "Given", align: "end", cell: (r) => count(r.hits), sort: (r) => r.hits },
        { key: "bytes", head: "Size", align: "end", cell: (r) => bytes(r.bytes), sort: (r) => r.bytes },
        { key: "age", head: "Age", align: "end", cell: (r) => seconds(r.age_seconds), sort: (r) => r.age_seconds },
        ...(mayChange("cache") ? [{ key: "do", head: "Change", cell: (r: { key: string }) => (
          <Button kind="quiet" small label={`Invalidate the answer ${r.key.slice(0, 12)}`} onClick={() => setParams({ invalidate: "1", key: r.key })}>Invalidate…</Button>
        ) }] : []),
      ]} empty={<EmptyState title="Nothing was given twice yet">Answers appear here once the cache has given them.</EmptyState>} />
      {state.top.length > some ? <Button kind="quiet" onClick={() => setAll(!all)}>{all ? `Show the first ${some}` : `Show all ${state.top.length}`}</Button> : null}
    </>
  );
}
