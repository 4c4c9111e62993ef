// Operations: response times, errors, tokens and cost, by operation, model or target.

import { api } from "../api";
import { Card, EmptyState, Grid, Loaded, Page, SeriesChart, Table, Tabs, type Column, type SeriesQuery } from "../components";
import { compact, count, percent, rate, seconds, usd } from "../format";
import { useQuery } from "../query";
import { href, param, setParams, timeWindow } from "../route";
import type { OperationList, OperationRow } from "../types";

type By = "operation" | "model" | "target";

function columns(by: By): Column<OperationRow>[] {
  const all: Column<OperationRow>[] = [
    { key: "name", head: by.charAt(0).toUpperCase() + by.slice(1), cell: (r) => r.name, sort: (r) => r.name },
    { key: "requests", head: "Calls", align: "end", cell: (r) => <>{count(r.requests)}<span class="cell-sub">{rate(r.per_second)}</span></>, sort: (r) => r.requests },
    { key: "error_rate", head: "Errors", align: "end", cell: (r) => <><span class={r.error_rate >= 0.05 ? "tone-bad strong" : ""}>{percent(r.error_rate)}</span>{r.refused > 0 && <span class="cell-sub">{count(r.refused)} refused</span>}</>, sort: (r) => r.error_rate },
    { key: "p50", head: "P50", align: "end", cell: (r) => seconds(r.p50), sort: (r) => r.p50 },
    { key: "p95", head: "P95", align: "end", cell: (r) => seconds(r.p95), sort: (r) => r.p95 },
    { key: "p99", head: "P99", align: "end", cell: (r) => seconds(r.p99), sort: (r) => r.p99 },
    { key: "first", head: "First token", align: "end", title: "Time to the first token, P95", cell: (r) => (r.first_token_p95 > 0 ? <>{seconds(r.first_token_p95)}<span class="cell-sub">P95</span></> : <span class="muted">–</span>), sort: (r) => r.first_token_p95 },
    { key: "hit_rate", head: "Hits", align: "end", title: "Answers of the cache", cell: (r) => percent(r.hit_rate), sort: (r) => r.hit_rate },
    { key: "tokens", head: "Tokens", align: "end", title: "Of prompts and of answers", cell: (r) => <>{compact(r.input_tokens)}<span class="cell-sub">{compact(r.output_tokens)} out</span></>, sort: (r) => r.input_tokens + r.output_tokens },
    { key: "cost", head: "Cost", align: "end", title: "With what a call costs on average, cached ones included", cell: (r) => <>{usd(r.micro_usd)}<span class="cell-sub">{r.requests > 0 ? `${usd(r.micro_usd / r.requests)} each` : ""}</span></>, sort: (r) => r.micro_usd },
    { key: "in_flight", head: "In progress", align: "end", cell: (r) => count(r.in_flight), sort: (r) => r.in_flight },
  ];
  // What counts for a target is its attempts: tokens and cost are told of calls.
  const without = { operation: ["in_flight"], model: ["in_flight"], target: ["hit_rate", "tokens", "cost", "first"] }[by];
  return all.filter((c) => !without.includes(c.key));
}

/** requestsOf links to the log: targets are "provider/model", and the log knows the provider. */
function requestsOf(by: By, name: string): string {
  const filter = by === "target" ? { provider: name.split("/")[0] } : { [by]: name };
  return href("requests", { window: param("window"), ...filter });
}

interface ChartSpec { title: string; q: SeriesQuery[]; stacked?: boolean; alone?: SeriesQuery[] }

/** The charts of each kind of row; alone is what is shown of a single one instead. */
const charts: Record<By, ChartSpec[]> = (() => {
  const percentiles = (metric: string): SeriesQuery[] => [{ q: `p99:${metric}`, label: "P99" }, { q: `p95:${metric}`, label: "P95" }, { q: `p50:${metric}`, label: "P50" }];
  const calls: ChartSpec[] = [
    { title: "Response time, P95", q: [{ q: "p95:duration", label: "P95" }], alone: percentiles("duration") },
    { title: "Failures a second", q: [{ q: "rate:failures", label: "failed" }], stacked: true },
    { title: "First token, P95", q: [{ q: "p95:first_token", label: "P95" }], alone: percentiles("first_token") },
    { title: "Calls a second", q: [{ q: "rate:requests", label: "calls", area: true }], stacked: true },
    { title: "Tokens of answers a second", q: [{ q: "rate:output_tokens", label: "tokens", area: true }], stacked: true },
    { title: "Cost a second", q: [{ q: "rate:cost", label: "cost", area: true }], stacked: true },
  ];
  return {
    operation: calls, model: calls,
    target: [
      { title: "Response time of targets, P95", q: [{ q: "p95:upstream", label: "P95" }], alone: percentiles("upstream") },
      { title: "Failed attempts a second", q: [{ q: "rate:attempt_failures", label: "failed" }], stacked: true },
      { title: "Attempts a second", q: [{ q: "rate:attempts", label: "attempts", area: true }], stacked: true },
      { title: "Calls in progress", q: [{ q: "max:in_flight", label: "in progress" }], alone: [{ q: "max:in_flight", label: "in progress" }, { q: "last:limit", label: "limit" }] },
    ],
  };
})();

function Charts(props: { by: By; only: string }) {
  const { by, only } = props;
  return (
    <Grid columns={2}>
      {charts[by].map((c) => (
        <Card key={c.title}>
          <SeriesChart title={c.title + (only ? `: ${only}` : "")} by={by} only={only || undefined} stacked={c.stacked && !only} lines={(only && c.alone) || c.q} />
        </Card>
      ))}
    </Grid>
  );
}

export default function Operations() {
  const by = (["operation", "model", "target"] as const).find((b) => b === param("by")) ?? "operation";
  const only = param("only");
  const query = useQuery((signal) => api.get<OperationList>("v1/operations", { window: timeWindow(), by }, signal), [timeWindow(), by], 10_000);
  return (
    <Page title="Operations" about="Where time, errors and money go." range live
      actions={<Tabs label="By" value={by} options={[{ value: "operation", label: "Operations" }, { value: "model", label: "Models" }, { value: "target", label: "Targets" }]} onChange={(v) => setParams({ by: v === "operation" ? null : v, only: null })} />}>
      <Card flush title={`By ${by}`} actions={only && <button type="button" class="button small" onClick={() => setParams({ only: null })}>Charts of all</button>}>
        <Loaded query={query} empty={(list) => (list.data?.length ?? 0) === 0 && <EmptyState title="No calls in this time">Choose a longer time range, or send a call.</EmptyState>}>
          {(list) => (
            <Table label={`By ${by}`} rows={list.data} sort="-requests" id={(r) => r.name} link={(r) => requestsOf(by, r.name)}
              tone={(r) => (r.error_rate >= 0.1 ? "bad" : r.error_rate >= 0.05 ? "warn" : undefined)}
              columns={[...columns(by), {
                key: "charts", head: "Charts", align: "end", cell: (r) => (
                  <button type="button" class="button quiet small" aria-pressed={only === r.name} onClick={() => setParams({ only: only === r.name ? null : r.name })}>
                    {only === r.name ? "shown" : "show"}<span class="sr"> charts of {r.name}</span>
                  </button>
                ),
              }]} />
          )}
        </Loaded>
      </Card>
      <Charts by={by} only={only} />
    </Page>
  );
}
