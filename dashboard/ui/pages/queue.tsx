// Who waits: calls in the waiting lines of this moment, and durable jobs.

import { api, can } from "../api";
import { Card, Chart, EmptyState, Grid, Loaded, Page, SeriesChart, Stat, Table, useSeries } from "../components";
import { count, seconds, words } from "../format";
import { totals } from "../live";
import { type Query, useQuery } from "../query";
import type { JobStats, Target, TargetList } from "../types";
import { Jobs } from "./jobs";
import { bandNames, StatesOfJobs } from "./jobstats";
import { stepTimes } from "./ratio";
import { Share } from "./share";

export default function Queue() {
  const targets = useQuery<TargetList>((signal) => api.get("v1/targets", {}, signal), [], 3_000);
  const stats = useQuery<JobStats>((signal) => api.get("v1/jobs/stats", {}, signal), [], 5_000);
  return (
    <Page title="Queue" about="Calls that wait for a slot at a target, and durable jobs that wait for their turn." range live>
      <Figures targets={targets.data?.data ?? []} jobs={stats} />
      <Grid columns={2}>
        <Card>
          <WaitingByBand />
        </Card>
        <Card>
          <SeriesChart title="Wait for a slot" height={200} lines={[
            { q: "p50:queue_wait", label: "P50" }, { q: "p95:queue_wait", label: "P95" }, { q: "p99:queue_wait", label: "P99" },
          ]} />
        </Card>
        <Card>
          <SeriesChart title="Oldest call in line" height={180} lines={[{ q: "max:oldest_wait", label: "Oldest" }]} />
        </Card>
        <Card>
          <SeriesChart title="Calls in progress by target" height={180} lines={[{ q: "max:in_flight", label: "In progress" }]} by="target" />
        </Card>
      </Grid>
      <Card title="Room at each target"><Loaded query={targets}>{(list) => <Room targets={list.data ?? []} />}</Loaded></Card>
      <h2 class="section" id="jobs">Durable jobs</h2>
      {stats.error?.limit === "store.dir" ? <NoJobs /> : (
        <>
          <Loaded query={stats}>{(s) => <StatesOfJobs stats={s} reload={stats.reload} />}</Loaded>
          <Jobs stats={stats.data} reloadStats={stats.reload} />
        </>
      )}
    </Page>
  );
}

/** WaitingByBand stacks the bands in their order, the most urgent at the bottom. */
function WaitingByBand() {
  const query = useSeries(["max:waiting"], { by: "band" });
  const found = query.data?.series ?? [];
  const lines = bandNames.flatMap((band) => found.filter((l) => l.of === band).map((l) => ({ label: band, values: l.values ?? [] })));
  return <Chart title="Waiting calls by priority" times={stepTimes(query.data)} lines={lines} stacked height={200} loading={query.loading} />;
}

function NoJobs() {
  return (
    <EmptyState title="This gateway keeps no durable jobs" code={"store:\n  dir: /var/lib/forebay"}>
      A durable job outlasts a restart and is made when there is room. Give the gateway a directory, then send a call
      with the header <code>Prefer: respond-async</code>.
    </EmptyState>
  );
}

function Figures({ targets, jobs }: { targets: readonly Target[]; jobs: Query<JobStats> }) {
  const bounded = targets.filter((t) => t.limit >= 0);
  const limit = bounded.reduce((n, t) => n + t.limit, 0);
  const flying = targets.reduce((n, t) => n + t.in_flight, 0);
  const waiting = targets.reduce((n, t) => n + t.waiting, 0) || (totals.value?.totals.waiting ?? 0);
  const s = jobs.data;
  const oldest = Math.max(0, ...bandNames.map((b) => s?.bands?.[b]?.oldest_seconds ?? 0));
  return (
    <Grid columns={4}>
      <Stat label="Waiting now" value={count(waiting)} note="calls in line for a slot" tone={waiting > 100 ? "bad" : waiting > 50 ? "warn" : "ok"} />
      <Stat label="In progress" value={count(flying)} note={bounded.length === targets.length && limit > 0 ? `of ${count(limit)} that may be` : "without a bound at some targets"} />
      <Stat label="Jobs queued" value={s ? count(s.queued) : "–"} note={oldest > 0 ? `the oldest for ${seconds(oldest)}` : s ? "none waits" : "no durable jobs"} />
      <Stat label="Dead letters" value={s ? count(s.dead) : "–"} tone={s && s.dead > 0 ? "bad" : s ? "ok" : "none"}
        note={s && s.dead > 0 ? "see why, then requeue or purge" : "jobs that used up their attempts"} href={s && s.dead > 0 ? "#/queue?state=dead" : undefined} />
    </Grid>
  );
}

/** What the limit moved for, in words. */
const moves: Record<string, string> = {
  refused: "down: the target answered 429, 503 or 529",
  slow_first: "down: first tokens take longer than usual",
  slow_token: "down: tokens take longer than usual",
  healthy: "up: all slots are in use and all is well",
  mistaken: "up: fewer calls did not help",
  slow_start: "from low to high after an outage",
};

/** limitReason is why a target's limit moved last, for people. */
function limitReason(reason?: string): string {
  return reason ? (moves[reason] ?? words(reason)) : "has not moved";
}

function Room({ targets }: { targets: readonly Target[] }) {
  if (!can("metrics") && targets.length === 0) return <EmptyState title="Not for this key">Targets are shown to keys with the scope metrics.</EmptyState>;
  return (
    <Table label="Room at each target" name="room" rows={[...targets]} id={(t) => t.name} columns={[
      { key: "name", head: "Target", cell: (t) => t.name, sort: (t) => t.name },
      { key: "use", head: "In progress of limit", cell: (t) => t.limit < 0
        ? `${count(t.in_flight)}, no bound`
        : <Share share={t.limit > 0 ? t.in_flight / t.limit : 0} tone={t.in_flight >= t.limit ? "warn" : "info"} name={t.name} text={`${count(t.in_flight)} of ${count(t.limit)}`} />,
        sort: (t) => (t.limit > 0 ? t.in_flight / t.limit : 0) },
      { key: "ceiling", head: "At best", align: "end", cell: (t) => (t.ceiling < 0 ? "no bound" : count(t.ceiling)), sort: (t) => t.ceiling, title: "How far the limit may rise" },
      { key: "waiting", head: "Waiting", align: "end", cell: (t) => count(t.waiting), sort: (t) => t.waiting },
      { key: "reason", head: "Limit moved", cell: (t) => limitReason(t.limit_reason) },
    ]} empty={<EmptyState title="No targets">A target is a model at a provider. Configure one under providers.</EmptyState>} />
  );
}
