// What calls cost: this month or an earlier one, by whom and by what, what was saved, and the budgets.

import { api, can } from "../api";
import { Button, Card, Chart, EmptyState, Grid, Icon, Loaded, Page, Select, Stat, Table, Tabs } from "../components";
import { compact, count, money, percent } from "../format";
import { useQuery } from "../query";
import { href, param, setParams } from "../route";
import type { CostReport, CostRow } from "../types";
import { Budgets } from "./budgets";
import { csv, save } from "./export";
import { Share } from "./share";

const dimensions = ["user", "model", "operation", "tenant", "key", "provider", "day"] as const;
type Dimension = (typeof dimensions)[number];
const currencies = ["USD", "EUR", "INR"] as const;

/** Month is a calendar month in UTC, as the books have it. */
interface Month { name: string; label: string; from: string; to: string }

/** months are the present one and those before it, the newest first. */
function months(now: Date, n: number): Month[] {
  return Array.from({ length: n }, (_, i) => {
    const from = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - i, 1));
    const to = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - i + 1, 1));
    const label = from.toLocaleDateString("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });
    return { name: from.toISOString().slice(0, 7), label: i === 0 ? `${label}, so far` : label, from: from.toISOString().slice(0, 10), to: to.toISOString().slice(0, 10) };
  });
}

export default function Cost() {
  const offered = months(new Date(), 12);
  const month = offered.find((m) => m.name === param("month")) ?? offered[0]!;
  const currency = currencies.find((c) => c === param("currency")) ?? "USD";
  const by = dimensions.find((d) => d === param("by")) ?? "user";
  const ask = { from: month.from, to: month.to, currency };
  const report = useQuery<CostReport>((signal) => api.get("v1/cost", { ...ask, by }, signal), [ask, by], 15_000);
  const days = useQuery<CostReport>((signal) => api.get("v1/cost", { ...ask, by: "day,model", limit: "1000" }, signal), [ask], 60_000);
  return (
    <Page title="Cost" about="What calls cost at the prices of their time, failed and repeated attempts included. Days and months are those of UTC."
      actions={
        <>
          <Select label="Month" hideLabel value={month.name} options={offered.map((m) => ({ value: m.name, label: m.label }))}
            onChange={(name: string) => setParams({ month: name === offered[0]!.name ? null : name })} />
          <Tabs label="Currency" value={currency} options={currencies} onChange={(c) => setParams({ currency: c === "USD" ? null : c })} />
        </>
      }>
      <Loaded query={report}>{(r) => <Figures report={r} />}</Loaded>
      <Card>
        <Loaded query={days}>{(r) => <Days report={r} month={month} />}</Loaded>
      </Card>
      <Card title="Where it goes" actions={report.data?.rows?.length ? <Exports report={report.data} by={by} month={month} /> : undefined}>
        <Tabs label="By" value={by} options={dimensions.map((d) => ({ value: d, label: d.charAt(0).toUpperCase() + d.slice(1) }))} onChange={(d) => setParams({ by: d === "user" ? null : d, sort: null })} />
        <Loaded query={report}>{(r) => <Rows report={r} by={by} />}</Loaded>
      </Card>
      <Budgets rate={report.data?.rate ?? 1} currency={report.data?.currency ?? "USD"} />
    </Page>
  );
}

function tokens(r: { usage: CostReport["total"]["usage"] }): number {
  return r.usage.input + r.usage.output + r.usage.cache_read + r.usage.cache_write;
}

function whole(r: CostReport["total"]): number {
  return r.micro_usd + (r.compute_micro_usd ?? 0) + (r.storage_micro_usd ?? 0);
}

function Figures({ report: r }: { report: CostReport }) {
  const shown = (micro: number) => money(micro, r.rate, r.currency);
  const t = r.total;
  const all = whole(t);
  const would = all + t.saved_micro_usd;
  const estimated = t.estimated_micro_usd ?? 0;
  const rate = r.currency === "USD" ? "" : `1 USD = ${Number(r.rate.toPrecision(5))} ${r.currency}${r.rate_date ? `, ${r.rate_date}` : ""}`;
  return (
    <Grid columns={4}>
      <Stat label="Spent" value={shown(all)} note={rate || (all === 0 ? "nothing yet" : all > t.micro_usd ? `${shown(t.micro_usd)} of it for models` : "all of it for models")} />
      <Stat label="Saved" value={shown(t.saved_micro_usd)} tone={t.saved_micro_usd > 0 ? "ok" : "none"}
        note={would > 0 ? `${percent(t.saved_micro_usd / would)} of what it would have cost, by ${count(t.hits)} hits` : "nothing was asked twice yet"} />
      <Stat label="Calls" value={count(t.calls)} note={t.calls > 0 ? `${shown(t.micro_usd / t.calls)} each` : "none yet"} />
      <Stat label="Tokens" value={compact(tokens(t))} note={estimated > 0 ? `${percent(estimated / Math.max(t.micro_usd, 1))} of the cost is estimated` : "as providers counted them"} />
    </Grid>
  );
}

function Days({ report: r, month }: { report: CostReport; month: Month }) {
  const rows = r.rows ?? [];
  const first = Date.parse(month.from) / 1000;
  const last = Math.min(Date.parse(month.to), Date.now()) / 1000;
  const times = Array.from({ length: Math.max(Math.ceil((last - first) / 86400), 1) }, (_, i) => first + i * 86400);
  const most = 5;
  const sums = new Map<string, number>();
  for (const row of rows) sums.set(row.model ?? "", (sums.get(row.model ?? "") ?? 0) + row.micro_usd);
  const models = [...sums].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  const lineOf = (names: readonly string[], label: string) => ({ label, values: times.map((t) => {
    const day = new Date(t * 1000).toISOString().slice(0, 10);
    return rows.filter((row) => row.day.startsWith(day) && names.includes(row.model ?? "")).reduce((sum, row) => sum + row.micro_usd, 0);
  }) });
  const lines = models.slice(0, most).map((name) => lineOf([name], name || "no model"));
  if (models.length > most) lines.push(lineOf(models.slice(most), "other models"));
  return <Chart title="Cost a day, by model" times={times} lines={lines} stacked height={220} format={(v) => money(v, r.rate, r.currency)} />;
}

/** part is what a row was grouped by. */
function part(row: CostRow, by: Dimension): string {
  return by === "day" ? row.day.slice(0, 10) : (row[by] ?? "");
}

/** filtered are the pages that show more of a row. */
const linked: Partial<Record<Dimension, string>> = { user: "user", model: "model", operation: "operation", tenant: "tenant", key: "key", provider: "provider" };

function Rows({ report: r, by }: { report: CostReport; by: Dimension }) {
  const rows = r.rows ?? [];
  const shown = (micro: number) => money(micro, r.rate, r.currency);
  const top = Math.max(whole(r.total), 1);
  const other = rows.some((row) => (row.compute_micro_usd ?? 0) + (row.storage_micro_usd ?? 0) > 0);
  const name = (row: CostRow) => {
    const text = part(row, by) || `no ${by}`;
    const filter = linked[by];
    return filter && part(row, by) && (can("metrics") || can("admin")) ? <a href={href("requests", { [filter]: part(row, by) })}>{text}</a> : text;
  };
  return (
    <>
      <Table label={`Cost by ${by}`} rows={rows} id={(row) => part(row, by)} maxHeight={520} columns={[
        { key: "name", head: by.charAt(0).toUpperCase() + by.slice(1), cell: name, sort: (row) => part(row, by) },
        { key: "cost", head: "Cost", align: "end", cell: (row) => shown(whole(row)), sort: whole },
        { key: "share", head: "Share", cell: (row) => <Share share={whole(row) / top} name={part(row, by)} text={percent(whole(row) / top, 1)} /> },
        { key: "calls", head: "Calls", align: "end", cell: (row) => count(row.calls), sort: (row) => row.calls },
        { key: "each", head: "Each", align: "end", cell: (row) => (row.calls > 0 ? shown(row.micro_usd / row.calls) : "–"), sort: (row) => row.micro_usd / Math.max(row.calls, 1) },
        { key: "in", head: "Tokens in", align: "end", cell: (row) => compact(row.usage.input + row.usage.cache_read + row.usage.cache_write), sort: (row) => row.usage.input + row.usage.cache_read + row.usage.cache_write },
        { key: "out", head: "Tokens out", align: "end", cell: (row) => compact(row.usage.output), sort: (row) => row.usage.output },
        ...(other ? [{ key: "other", head: "Compute and storage", align: "end" as const, cell: (row: CostRow) => shown((row.compute_micro_usd ?? 0) + (row.storage_micro_usd ?? 0)), sort: (row: CostRow) => (row.compute_micro_usd ?? 0) + (row.storage_micro_usd ?? 0) }] : []),
        { key: "saved", head: "Saved", align: "end", cell: (row) => shown(row.saved_micro_usd), sort: (row) => row.saved_micro_usd },
      ]} empty={
        <EmptyState title="Nothing was spent in this month" code={'curl localhost:8080/v1/chat/completions -H "x-forebay-user: u1" -d \'{"model":"…","messages":[…]}\''}>
          Every call is priced when it ends. Name the user, and the cost is kept for each of them.
        </EmptyState>
      } />
      {r.truncated ? <p class="muted">There are more rows than these, the most expensive ones.</p> : null}
    </>
  );
}

function Exports({ report, by, month }: { report: CostReport; by: Dimension; month: Month }) {
  const name = `forebay-cost-${month.name}-by-${by}`;
  return (
    <>
      <Button small onClick={() => save(`${name}.csv`, "text/csv", csv(report, by))}><Icon name="download" /> CSV</Button>
      <Button small onClick={() => save(`${name}.json`, "application/json", JSON.stringify(report, null, 2))}><Icon name="download" /> JSON</Button>
    </>
  );
}
