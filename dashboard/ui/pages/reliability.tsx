// Which targets take calls: breakers over time and why they opened, limits, regions, quotas, fallbacks.

import { api, can, mayChange } from "../api";
import { Badge, Card, EmptyState, Grid, Loaded, Page, SeriesChart, Stat, StateTimeline, Table, Time } from "../components";
import { compact, count, nanos, percent } from "../format";
import { useQuery } from "../query";
import { href, timeWindow } from "../route";
import type { Target, TargetList, Transition, TransitionList } from "../types";
import { BreakerDialog, ChangeBreaker, Countdown, StateOfBreaker } from "./breaker";
import { Fallbacks } from "./fallbacks";
import { RatioChart, refresh } from "./ratio";
import { Share } from "./share";

export default function Reliability() {
  const range = timeWindow();
  const targets = useQuery<TargetList>((signal) => api.get("v1/targets", {}, signal), [], 3_000);
  const history = useQuery<TransitionList>((signal) => api.get("v1/breakers/history", { window: range }, signal), [range], refresh(range));
  return (
    <Page title="Reliability" about="Which targets take calls, which do not and why, and what callers get instead." range live>
      {targets.data ? <Figures targets={targets.data.data ?? []} changes={history.data?.data ?? []} /> : null}
      <Card title="Breakers over time" about="A closed breaker lets calls pass, an open one refuses them at once, a half-open one lets a few through to probe.">
        <Loaded query={history}>{(h) => <Timeline history={h} />}</Loaded>
        <RatioChart title="Failed attempts by target" part={["attempt_failures"]} whole={["attempts"]} by="target" height={160} />
      </Card>
      <Card title="Targets"><Loaded query={targets}>{(list) => <Targets targets={list.data ?? []} />}</Loaded></Card>
      <Card title="Changes of breakers"><Loaded query={history}>{(h) => <Changes changes={h.data ?? []} />}</Loaded></Card>
      <Card title="Fallbacks" about="What answered where no provider did."><Fallbacks /></Card>
      <Grid columns={2}>
        <Card>
          <SeriesChart title="Limits" about="How many calls each target may have at once; limits find a target's capacity by themselves" lines={[{ q: "last:limit", label: "Limit" }]} by="target" height={200} />
        </Card>
        <Card>
          <RatioChart title="Retries for each call" part={["retries"]} whole={["requests"]} label="Retries" height={200} tone="info" />
        </Card>
        <Card title="Regions"><Loaded query={targets}>{(list) => <Regions targets={list.data ?? []} />}</Loaded></Card>
        <Card title="Quotas" about="What providers grant a minute, and what is left of it."><Loaded query={targets}>{(list) => <Quotas targets={list.data ?? []} />}</Loaded></Card>
      </Grid>
      <BreakerDialog targets={targets.data?.data ?? []} onDone={() => { targets.reload(); history.reload(); }} />
    </Page>
  );
}

function Figures({ targets, changes }: { targets: readonly Target[]; changes: readonly Transition[] }) {
  const of = (state: string) => targets.filter((t) => t.breaker.state === state).length;
  const opened = changes.filter((c) => c.to === "open").length;
  const forced = targets.filter((t) => t.breaker.forced).length;
  return (
    <Grid columns={4}>
      <Stat label="Taking calls" value={`${count(of("closed"))} of ${count(targets.length)}`} tone={of("closed") === targets.length ? "ok" : of("closed") === 0 ? "bad" : "warn"} note="breakers that are closed" />
      <Stat label="Open" value={count(of("open"))} tone={of("open") > 0 ? "bad" : "ok"} note={of("open") > 0 ? "calls are refused at once" : "no target refuses"} />
      <Stat label="Half-open" value={count(of("half_open"))} tone={of("half_open") > 0 ? "warn" : "none"} note="probing with a few calls" />
      <Stat label={`Opened, ${timeWindow()}`} value={count(opened)} tone={opened > 0 ? "warn" : "ok"} note={forced > 0 ? `${count(forced)} forced by hand now` : "none is forced by hand"} />
    </Grid>
  );
}

/** spansOf makes each target's states over the window of the changes. */
export function spansOf(h: TransitionList) {
  const from = Date.parse(h.from);
  const to = Date.parse(h.to);
  const names = [...new Set([...Object.keys(h.states ?? {}), ...(h.data ?? []).map((c) => c.target)])].sort();
  const rows = names.map((name) => {
    const own = (h.data ?? []).filter((c) => c.target === name);
    const spans: { from: number; to: number; state: string; note?: string }[] = [];
    let begin = from;
    let state = h.states?.[name] ?? own[0]?.from ?? "closed";
    let note: string | undefined;
    for (const c of own) {
      const at = Math.min(Math.max(Date.parse(c.at), from), to);
      if (at > begin) spans.push({ from: begin, to: at, state, note });
      begin = at;
      state = c.to;
      note = c.reason || undefined;
    }
    spans.push({ from: begin, to, state, note });
    return { name, spans };
  });
  return { from, to, rows };
}

function Timeline({ history }: { history: TransitionList }) {
  const { from, to, rows } = spansOf(history);
  if (rows.length === 0) return <EmptyState title="No targets">A target is a model at a provider. Configure one under providers, and its breaker shows here.</EmptyState>;
  return <StateTimeline label="States of breakers" from={from} to={to} rows={rows} />;
}

function Targets({ targets }: { targets: readonly Target[] }) {
  return (
    <Table label="Targets" name="targets" rows={[...targets]} id={(t) => t.name} tone={(t) => ({ open: "bad", half_open: "warn" } as const)[t.breaker.state as string]}
      columns={[
        { key: "name", head: "Target", cell: (t) => <a href={href("requests", { provider: t.provider, model: t.model })}>{t.name}</a>, sort: (t) => t.name },
        { key: "state", head: "Breaker", cell: (t) => <StateOfBreaker breaker={t.breaker} />, sort: (t) => t.breaker.state },
        { key: "why", head: "Why, and what comes next", wide: true, cell: (t) => <Why target={t} /> },
        { key: "failing", head: "Failing", align: "end", cell: (t) => (t.breaker.total > 0
          ? <>{percent(t.breaker.failures / t.breaker.total)}<span class="cell-sub">of {count(t.breaker.total)}, {count(t.breaker.slow)} slow</span></> : "–"),
          sort: (t) => (t.breaker.total > 0 ? t.breaker.failures / t.breaker.total : 0), title: "Of the calls within the breaker's window" },
        { key: "use", head: "In progress", align: "end", cell: (t) => (t.limit < 0 ? `${count(t.in_flight)}, no bound` : `${count(t.in_flight)} of ${count(t.limit)}`), sort: (t) => t.in_flight },
        { key: "first", head: "First token", align: "end", cell: (t) => (t.first_token_ns ? nanos(t.first_token_ns) : "–"), sort: (t) => t.first_token_ns ?? 0 },
        ...(mayChange("admin") ? [{ key: "do", head: "Change", cell: (t: Target) => <ChangeBreaker target={t} /> }] : []),
      ]}
      empty={<EmptyState title="No targets">{can("metrics") ? "A target is a model at a provider. Configure one under providers." : "Targets are shown to keys with the scope metrics."}</EmptyState>} />
  );
}

function Why({ target: t }: { target: Target }) {
  const b = t.breaker;
  return (
    <>
      {b.reason ? <span>{b.reason}</span> : <span class="muted">never opened</span>}
      {b.since ? <span class="cell-sub">since <Time at={b.since} />{b.state === "open" && b.retry_at ? <>, probes in <Countdown until={b.retry_at} /></> : null}</span> : null}
      {b.forced ? <span class="cell-sub">Forced by hand: it stays so until it is reset.</span> : null}
      {t.cooling_until ? <span class="cell-sub">The target asked for patience: <Countdown until={t.cooling_until} /></span> : null}
    </>
  );
}

function Changes({ changes }: { changes: readonly Transition[] }) {
  const rows = changes.map((c, i) => ({ ...c, i })).reverse();
  return (
    <Table label="Changes of breakers" name="changes" rows={rows} id={(c) => String(c.i)} maxHeight={340} columns={[
      { key: "at", head: "When", cell: (c) => <Time at={c.at} /> },
      { key: "target", head: "Target", cell: (c) => c.target },
      { key: "to", head: "Became", cell: (c) => <StateOfBreaker breaker={{ state: c.to, forced: false }} /> },
      { key: "why", head: "Why", wide: true, cell: (c) => c.reason || "–" },
    ]} empty={<EmptyState title="No breaker changed">In the last {timeWindow()} every target stayed as it was. Changes appear here with their reason.</EmptyState>} />
  );
}

function Regions({ targets }: { targets: readonly Target[] }) {
  const names = [...new Set(targets.map((t) => t.region ?? "").filter(Boolean))].sort();
  const rows = names.map((name) => {
    const own = targets.filter((t) => t.region === name);
    return { name, targets: own.length, open: own.filter((t) => t.breaker.state === "open").length, down: own.some((t) => t.region_down), residency: [...new Set(own.map((t) => t.residency).filter(Boolean))].join(", ") };
  });
  return (
    <Table label="Regions" name="regions" rows={rows} id={(r) => r.name} columns={[
      { key: "name", head: "Region", cell: (r) => r.name, sort: (r) => r.name },
      { key: "state", head: "State", cell: (r) => (r.down ? <Badge tone="bad">down</Badge> : r.open > 0 ? <Badge tone="warn">in part</Badge> : <Badge tone="ok">up</Badge>) },
      { key: "open", head: "Refusing", align: "end", cell: (r) => `${count(r.open)} of ${count(r.targets)}` },
      { key: "residency", head: "Data stays in", cell: (r) => r.residency || "–" },
    ]} empty={<EmptyState title="No regions are named">Give targets a region, and calls go round one that is down as a whole.</EmptyState>} />
  );
}

function Quotas({ targets }: { targets: readonly Target[] }) {
  const rows = targets.filter((t) => t.quota && (t.quota.requests_per_minute > 0 || t.quota.tokens_per_minute > 0));
  const left = (name: string, n: number, of: number) => (of > 0 ? <Share share={Math.max(n, 0) / of} tone={n <= 0 ? "bad" : n < of / 5 ? "warn" : "ok"} name={name} text={`${compact(Math.max(n, 0))} of ${compact(of)}`} /> : "no bound");
  return (
    <Table label="Quotas" name="quotas" rows={rows} id={(t) => t.name} columns={[
      { key: "name", head: "Target", cell: (t) => t.name },
      { key: "requests", head: "Requests left", cell: (t) => left("Requests left", t.quota!.requests_left, t.quota!.requests_per_minute) },
      { key: "tokens", head: "Tokens left", cell: (t) => left("Tokens left", t.quota!.tokens_left, t.quota!.tokens_per_minute) },
      { key: "open", head: "Reserved", align: "end", cell: (t) => count(t.quota!.open), title: "Calls whose use is not known yet" },
    ]} empty={<EmptyState title="No quotas are set" code={"models:\n  sonnet:\n    targets:\n      - provider: anthropic\n        model: claude-sonnet\n        requests_per_minute: 600\n        tokens_per_minute: 200000"}>
      Tell the gateway what a provider grants, and it does not run into 429.
    </EmptyState>} />
  );
}

