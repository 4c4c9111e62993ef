// Overview: what is wrong now and what to do stands first, then how things are.

import { api, root, session } from "../api";
import { Card, EmptyState, Grid, Loaded, Page, SeriesChart, Stat, Table, Time, Bar, useSeries, type Column, type Tone } from "../components";
import { ago, compact, count, money, percent, rate, seconds, usd, words } from "../format";
import { totals as liveTotals } from "../live";
import { useQuery } from "../query";
import { href, pageNames, param, timeWindow, type PageName } from "../route";
import type { BudgetState, OperationRow, Overview as Answer, Problem, SeriesAnswer } from "../types";

const verdicts: Record<string, { tone: Tone; word: string; text: string }> = {
  healthy: { tone: "ok", word: "Healthy", text: "Every target takes calls." },
  degraded: { tone: "warn", word: "Degraded", text: "Calls are answered, though not everything works." },
  unhealthy: { tone: "bad", word: "Unhealthy", text: "Some calls cannot be answered." },
};

/** Two percent off the objective is worth a look, ten is bad. */
const objectiveTones = (met: number): Tone => (met >= 0.98 ? "ok" : met >= 0.9 ? "warn" : "bad");
/** The thresholds of the shipped alarms: 5 % warn, 10 % are critical. */
const errorTones = (share: number): Tone => (share < 0.05 ? "ok" : share < 0.1 ? "warn" : "bad");

function pageOf(name: string): PageName {
  return (pageNames as readonly string[]).includes(name) ? (name as PageName) : "overview";
}

function Problems(props: { problems: readonly Problem[] }) {
  return (
    <section aria-label="What is wrong now">
      <ul class="problems">
        {props.problems.map((p, i) => {
          const tone: Tone = p.severity === "critical" ? "bad" : "warn";
          return (
            <li key={i} class={`problem tone-${tone}`}>
              <h2 class="problem-what"><span class="mark" aria-hidden="true">{tone === "bad" ? "■" : "▲"} </span><span class="sr">{p.severity}: </span>{p.what}</h2>
              {p.why && <p class="muted">{p.why}</p>}
              {p.do && <p>{p.do}</p>}
              {p.page && <a href={href(pageOf(p.page), { window: param("window") })}>Show {p.page}</a>}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Verdict(props: { answer: Answer }) {
  const { health, problems, started, version } = props.answer;
  const v = verdicts[liveTotals.value?.overall ?? health.overall] ?? verdicts[health.overall] ?? { tone: "none" as Tone, word: health.overall, text: "" };
  const many = problems?.length ?? 0;
  const { level } = health.degradation;
  const reasons = (health.degradation.reasons ?? []).map(words).join(", ");
  return (
    <div class={`verdict tone-${v.tone}`} role="status">
      <span class="verdict-word"><span class="mark" aria-hidden="true">{v.tone === "ok" ? "●" : v.tone === "warn" ? "▲" : "■"} </span>{v.word}</span>
      <span class="verdict-text">
        {v.text} {level !== "none" && `Degradation is ${level}${reasons ? `: ${reasons}` : ""}. `}{many > 0 ? `${many === 1 ? "One thing needs" : `${many} things need`} attention.` : "Nothing needs attention."}
      </span>
      {(liveTotals.value?.dropped ?? 0) > 0 && <span class="tone-warn strong">{count(liveTotals.value?.dropped)} measurements were lost since the start.</span>}
      <span class="muted">Forebay {version}, started {ago(started)}</span>
    </div>
  );
}

/** spark is one line of the answer, for a figure. */
function spark(answer: SeriesAnswer | undefined, query: string): (number | null)[] | undefined {
  return answer?.series?.find((l) => l.query === query)?.values ?? undefined;
}

const sparks = ["rate:requests", "p95:duration", "rate:failures", "rate:hits", "rate:cost", "max:waiting", "p95:first_token", "last:users"];

function Figures(props: { answer: Answer; series?: SeriesAnswer }) {
  const { totals: t, objective: o, health, cost_today_micro_usd: today } = props.answer;
  const now = param("operation") ? undefined : liveTotals.value?.totals; // live figures are of everything
  const measured = t.requests > 0;
  const range = param("window");
  return (
    <Grid columns={4}>
      <Stat label="Calls" value={rate(now?.per_second ?? t.per_second)} note={`${count(t.requests)} in this time`} spark={spark(props.series, "rate:requests")} href={href("requests", { window: range })} />
      <Stat label="Response time, P95" value={measured ? seconds(t.p95) : "–"} tone={measured && t.p95 > o.seconds ? "bad" : "none"}
        note={measured ? `P50 ${seconds(t.p50)}, P99 ${seconds(t.p99)}` : "nothing was measured"} spark={spark(props.series, "p95:duration")} href={href("operations", { window: range })} />
      <Stat label={`Answered within ${seconds(o.seconds)}`} value={measured ? percent(o.met) : "–"} tone={measured ? objectiveTones(o.met) : "none"} note={measured ? "of all calls" : "nothing was measured"} />
      <Stat label="Errors" value={measured ? percent(t.error_rate) : "–"} tone={measured ? errorTones(t.error_rate) : "none"} note={`${count(t.failures)} failed${t.refused > 0 ? `, ${count(t.refused)} of them refused` : ""}`}
        spark={spark(props.series, "rate:failures")} href={href("requests", { window: range, failed: "true" })} />
      <Stat label="Cache hits" value={measured ? percent(t.hit_rate) : "–"} note={`saved ${usd(t.saved_micro_usd)}`} spark={spark(props.series, "rate:hits")} href={href("cache", { window: range })} />
      <Stat label="Cost today" value={money(today)} note={`${usd(t.micro_usd)} in this time`} spark={spark(props.series, "rate:cost")} href={href("cost", { window: range })} />
      <Stat label="Waiting, in progress" value={`${count(now?.waiting ?? t.waiting)}, ${count(now?.in_flight ?? t.in_flight)}`} note={`${count(health.queue.capacity)} may be in progress`} spark={spark(props.series, "max:waiting")} href={href("queue", { window: range })} />
      <Stat label="First token, P95" value={measured ? seconds(t.first_token_p95) : "–"} note={`${compact(t.output_tokens)} tokens out; own overhead P99 ${seconds(t.overhead_p99)}`} spark={spark(props.series, "p95:first_token")} />
    </Grid>
  );
}

const slowest: Column<OperationRow>[] = [
  { key: "name", head: "Operation", cell: (r) => r.name },
  { key: "p95", head: "P95", align: "end", cell: (r) => seconds(r.p95) },
  { key: "p50", head: "P50", align: "end", cell: (r) => seconds(r.p50) },
  { key: "requests", head: "Calls", align: "end", cell: (r) => count(r.requests) },
];

const failing: Column<OperationRow>[] = [
  { key: "name", head: "Operation", cell: (r) => r.name },
  { key: "error_rate", head: "Errors", align: "end", cell: (r) => percent(r.error_rate) },
  { key: "failures", head: "Failed", align: "end", cell: (r) => count(r.failures) },
  { key: "refused", head: "Refused", align: "end", cell: (r) => count(r.refused) },
  { key: "requests", head: "Calls", align: "end", cell: (r) => count(r.requests) },
];

function budgetName(b: BudgetState): string {
  const whose = [b.tenant, b.key, b.user, b.operation].filter(Boolean).join(", ");
  return whose ? `${b.rule} (${whose})` : b.rule;
}

const budgets: Column<BudgetState>[] = [
  { key: "rule", head: "Budget", cell: budgetName },
  { key: "spent", head: "Share", cell: (b) => <Bar share={b.spent_micro_usd / b.limit_micro_usd} tone={b.exhausted ? "bad" : b.warned ? "warn" : "ok"} label={`${percent(b.spent_micro_usd / b.limit_micro_usd)} spent`} /> },
  { key: "of", head: "Spent", align: "end", cell: (b) => <>{money(b.spent_micro_usd)} of {money(b.limit_micro_usd)}<span class="cell-sub">begins anew <Time at={b.to} /></span></> },
];

const faultNames: Record<string, string> = { provider: "the provider", policy: "a limit or policy", caller: "the caller", forebay: "Forebay" };

function Faults(props: { faults: Record<string, number> }) {
  const all = Object.values(props.faults).reduce((a, b) => a + b, 0);
  const rows = Object.entries(faultNames).map(([key, name]) => ({ key, name, n: props.faults[key] ?? 0 }));
  return (
    <Table label="Failed calls by whose fault it was" name="fault" rows={all > 0 ? rows : []} id={(r) => r.key} empty={<p class="nothing">No call has failed.</p>} columns={[
      { key: "name", head: "Fault of", cell: (r) => r.name },
      { key: "share", head: "Share", wide: true, cell: (r) => <Bar share={r.n / all} label={`${r.name}: ${percent(r.n / all)}`} /> },
      { key: "n", head: "Calls", align: "end", cell: (r) => count(r.n) },
    ]} />
  );
}

/** first is a call that can be pasted into a shell. */
function first(): string {
  const key = session.value?.open ? "" : ` -H "authorization: Bearer $FOREBAY_KEY"`;
  return `curl ${root}/v1/chat/completions${key} -H "content-type: application/json" \\
  -d '{"model": "MODEL", "messages": [{"role": "user", "content": "Hello"}]}'`;
}

function Body(props: { answer: Answer }) {
  const a = props.answer;
  const series = useSeries(sparks, { every: 15_000 });
  const operation = (r: OperationRow) => href("requests", { window: param("window"), operation: r.name });
  const scope = param("operation") ? { by: "operation", only: param("operation") } : {};
  const quiet = a.totals.requests === 0;
  return (
    <>
      <Verdict answer={a} />
      {(a.problems?.length ?? 0) > 0 && <Problems problems={a.problems ?? []} />}
      {quiet && (
        <Card>
          <EmptyState title="No calls in this time" code={first()}>
            Send one, and this page shows how it went. SDKs need the base URL <code>{root}/v1</code>{session.value?.open ? "" : " and a key"}; <code>GET /v1/models</code> lists the models.
          </EmptyState>
        </Card>
      )}
      <Figures answer={a} series={param("operation") ? undefined : series.data} />
      <Grid columns={2}>
        <Card><SeriesChart title="Response time" {...scope} lines={[{ q: "p99:duration", label: "P99" }, { q: "p95:duration", label: "P95" }, { q: "p50:duration", label: "P50" }]} threshold={{ value: a.objective.seconds, label: "objective" }} /></Card>
        <Card><SeriesChart title="Calls a second" {...scope} lines={[{ q: "rate:requests", label: "all", area: true }, { q: "rate:hits", label: "from the cache" }, { q: "rate:failures", label: "failed", tone: "bad" }, { q: "rate:refused", label: "refused", tone: "warn" }]} /></Card>
        {!quiet && <Card title="Slowest operations" flush>
          <Table label="Slowest operations" name="slow" rows={a.slowest} columns={slowest} id={(r) => r.name} link={operation} empty={<p class="nothing">No operation was called.</p>} />
        </Card>}
        {!quiet && <Card title="Operations that fail" flush>
          <Table label="Operations that fail" name="fail" rows={a.failing} columns={failing} id={(r) => r.name}
            link={(r) => href("requests", { window: param("window"), operation: r.name, failed: "true" })} empty={<p class="nothing">No operation has failed.</p>} />
        </Card>}
        {!quiet && <Card title="Failures by fault" flush><Faults faults={a.faults ?? {}} /></Card>}
        {(a.budgets?.length ?? 0) > 0 && (
          <Card title="Budgets that are nearly spent" flush actions={<a href={href("cost")}>Show cost</a>}>
            <Table label="Budgets" name="budget" rows={a.budgets} columns={budgets} id={budgetName} />
          </Card>
        )}
      </Grid>
    </>
  );
}

export default function Overview() {
  const query = useQuery((signal) => api.get<Answer>("v1/overview", { window: timeWindow(), operation: param("operation") }, signal), [timeWindow(), param("operation")], 5_000);
  const operation = param("operation");
  return (
    <Page title="Overview" about={operation ? <>Of the operation <strong>{operation}</strong>. <a href={href("overview", { window: param("window") })}>Show all</a></> : undefined} range live>
      <Loaded query={query} rows={8}>{(answer) => <Body answer={answer} />}</Loaded>
    </Page>
  );
}
