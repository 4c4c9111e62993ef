// Alarms: what fires and what to do about it, how each is defined, what happened, who is told.

import { api, mayChange } from "../api";
import { Badge, Button, Card, EmptyState, Grid, Loaded, Page, Stat, Table, Time } from "../components";
import { count } from "../format";
import { useEvent } from "../live";
import { useQuery } from "../query";
import { param, setParams } from "../route";
import type { AlarmEntry, AlarmEvent, AlarmHistory, AlarmList, AlarmStatus } from "../types";
import { AlarmDialog } from "./alarm";
import { condition, shown, StateOfAlarm, subject, worst } from "./alarmtext";
import { Notifiers } from "./notifiers";
import { SilenceDialog, Silences } from "./silences";

export default function Alarms() {
  const alarms = useQuery<AlarmList>((signal) => api.get("v1/alarms", {}, signal), [], 5_000);
  const history = useQuery<AlarmHistory>(
    (signal) => api.get("v1/alarms/history", { limit: 20, name: param("of"), before: param("before") }, signal), [param("of"), param("before")], 15_000);
  useEvent<AlarmEvent>("alarm", () => { alarms.reload(); history.reload(); });
  const list = alarms.data;
  return (
    <Page title="Alarms" about="What is wrong, since when, and what to do about it." live
      actions={mayChange("admin") ? <Button onClick={() => setParams({ silence: "*" })}>Silence…</Button> : undefined}>
      <Loaded query={alarms}>{(l) => <Contents list={l} reload={alarms.reload} />}</Loaded>
      <Card title="History"><Loaded query={history}>{(h) => <History history={h} />}</Loaded></Card>
      <AlarmDialog alarm={(list?.data ?? []).find((a) => a.name === param("alarm"))} onClose={() => setParams({ alarm: null })} />
      <SilenceDialog alarms={list?.data ?? []} onDone={alarms.reload} />
    </Page>
  );
}

interface Firing { alarm: AlarmEntry; status: AlarmStatus }

function Contents({ list, reload }: { list: AlarmList; reload(): void }) {
  const all = list.data ?? [];
  const firing: Firing[] = all.flatMap((alarm) => (alarm.states ?? []).filter((s) => s.state === "firing").map((status) => ({ alarm, status })));
  firing.sort((a, b) => Number(a.status.silenced ?? false) - Number(b.status.silenced ?? false)
    || Number(b.alarm.severity === "critical") - Number(a.alarm.severity === "critical") || a.status.since.localeCompare(b.status.since));
  return (
    <>
      <Figures list={list} firing={firing} />
      <Card title="Firing now">
        {firing.length > 0 ? <ul class="plain stack">{firing.map((f) => <FiringItem key={f.alarm.name + (f.status.of ?? "")} {...f} />)}</ul>
          : <EmptyState title="Nothing fires">All {count(all.length)} alarms of the profile {list.profile || "standard"} are quiet. What fires appears here first, with what to do.</EmptyState>}
      </Card>
      <Card title="All alarms"><Definitions alarms={all} /></Card>
      <Grid columns={2}>
        <Card title="Silences" about="A silenced alarm is judged and shown, but nobody is told."><Silences silences={list.silences ?? []} reload={reload} /></Card>
        <Card title="Who is told"><Notifiers notifiers={list.notifiers ?? []} /></Card>
      </Grid>
    </>
  );
}

function Figures({ list, firing }: { list: AlarmList; firing: readonly Firing[] }) {
  const loud = firing.filter((f) => !f.status.silenced);
  const critical = loud.filter((f) => f.alarm.severity === "critical").length;
  const ways = (list.notifiers ?? []).length;
  const failing = (list.notifiers ?? []).filter((n) => n.last_error).length;
  return (
    <Grid columns={4}>
      <Stat label="Critical" value={count(critical)} tone={critical > 0 ? "bad" : "ok"} note={critical > 0 ? "firing now" : "none fires"} />
      <Stat label="Warnings" value={count(loud.length - critical)} tone={loud.length > critical ? "warn" : "ok"} note={loud.length > critical ? "firing now" : "none fires"} />
      <Stat label="Silenced" value={count(firing.length - loud.length)} tone={firing.length > loud.length ? "info" : "none"} note="fire, and nobody is told" />
      <Stat label="Ways to tell people" value={ways > 0 ? `${count(ways - failing)} of ${count(ways)}` : "none"} tone={failing > 0 ? "bad" : ways > 0 ? "ok" : "none"}
        note={ways > 0 ? (failing > 0 ? "work; see who is told" : "work") : "alarms are shown here only"} />
    </Grid>
  );
}

function FiringItem({ alarm: a, status: s }: Firing) {
  return (
    <li class={`alarm tone-${s.silenced ? "none" : a.severity === "critical" ? "bad" : "warn"}`}>
      <div class="row spread">
        <h3 class="row">
          <Badge tone={a.severity === "critical" ? "bad" : "warn"}>{a.severity}</Badge>
          <a href={`#/alarms?alarm=${encodeURIComponent(a.name)}`}>{a.name}</a>{s.of ? <span class="muted">{s.of}</span> : null}
          {s.silenced ? <Badge tone="info">silenced</Badge> : null}
        </h3>
        {mayChange("admin") && !s.silenced
          ? <Button onClick={() => setParams({ silence: a.name, on: s.of })} label={`Silence ${a.name} ${s.of ?? ""}`}>Silence…</Button> : null}
      </div>
      <p>{a.message}</p>
      <p class="muted">{s.reason} Since <Time at={s.since} />.</p>
      {a.do ? <p><strong>What to do:</strong> {a.do}</p> : null}
      {a.runbook ? <p><Runbook address={a.runbook} /></p> : null}
    </li>
  );
}

/** Runbook is a link to where more is written; what is no web address stays text. */
export function Runbook({ address }: { address: string }) {
  if (!/^https?:\/\//.test(address)) return <span class="muted">Runbook: <code>{address}</code></span>;
  return <a href={address} rel="noreferrer noopener" target="_blank">Runbook (opens {new URL(address).host} in a new tab)</a>;
}

const rank = { firing: 0, no_data: 1, ok: 2 } as const;

function Definitions({ alarms }: { alarms: readonly AlarmEntry[] }) {
  return (
    <Table label="All alarms" name="alarms" rows={[...alarms].sort((a, b) => rank[worst(a)] - rank[worst(b)])} id={(a) => a.name}
      onOpen={(a: AlarmEntry) => setParams({ alarm: a.name }, true)} columns={[
        { key: "name", head: "Alarm", cell: (a) => a.name, sort: (a) => a.name },
        { key: "state", head: "State", cell: (a) => <StateOfAlarm alarm={a} />, sort: (a) => rank[worst(a)] },
        { key: "severity", head: "Severity", cell: (a) => a.severity, sort: (a) => a.severity },
        { key: "condition", head: "Fires when", wide: true, cell: (a) => condition(a) },
        { key: "now", head: "Now", align: "end", cell: (a) => now(a), title: "The worst of its values" },
      ]} empty={<EmptyState title="No alarms are defined" code={"alarms:\n  profile: standard"}>
        A profile brings tested thresholds: standard, analysis or interactive.
      </EmptyState>} />
  );
}

/** now is the worst present value of an alarm. */
function now(a: AlarmEntry): string {
  const values = (a.states ?? []).filter((s) => s.has_value).map((s) => s.value);
  if (values.length === 0) return "–";
  return shown(a.op === "<" ? Math.min(...values) : Math.max(...values), a);
}

function History({ history }: { history: AlarmHistory }) {
  const before = param("before");
  return (
    <>
      {param("of") ? <p class="row">Only {param("of")} <Button kind="quiet" onClick={() => setParams({ of: null, before: null })}>Show all</Button></p> : null}
      <Table label="History of alarms" name="history" rows={history.data ?? []} id={(e) => String(e.seq)} columns={[
        { key: "at", head: "When", cell: (e) => <Time at={e.at} /> },
        { key: "to", head: "Became", cell: (e) => <Became event={e} /> },
        { key: "name", head: "Alarm", cell: (e) => <a href={`#/alarms?of=${encodeURIComponent(e.name)}`}>{subject(e)}</a> },
        { key: "why", head: "Why", wide: true, cell: (e) => e.reason },
      ]} empty={<EmptyState title="Nothing has happened">Every change of an alarm is written down here, and kept over restarts where there is a store.</EmptyState>} />
      {before || history.next ? (
        <div class="pager" role="group" aria-label="Pages of the history">
          <Button disabled={!before} onClick={() => setParams({ before: null }, true)}>Newest</Button>
          <Button disabled={!history.next} onClick={() => setParams({ before: String(history.next) }, true)}>Older</Button>
        </div>
      ) : null}
    </>
  );
}

function Became({ event: e }: { event: AlarmEvent }) {
  const text = e.to === "firing" ? `firing, ${e.severity}` : e.to === "ok" ? (e.from === "firing" ? "resolved" : "ok") : "no data";
  const tone = e.to === "firing" ? (e.severity === "critical" ? "bad" : "warn") : e.to === "ok" ? "ok" : "none";
  return <><Badge tone={tone}>{text}</Badge>{e.silenced ? <span class="cell-sub">silenced</span> : null}</>;
}
