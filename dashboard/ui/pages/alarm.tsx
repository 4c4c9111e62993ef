// One alarm: what it watches, its values, and what to do.

import { mayChange } from "../api";
import { Badge, Button, Dialog, KeyValues, SeriesChart, Table, Time } from "../components";
import { count } from "../format";
import { setParams } from "../route";
import type { AlarmEntry, AlarmStatus } from "../types";
import { Runbook } from "./alarms";
import { condition, shown, span } from "./alarmtext";
import { RatioChart } from "./ratio";

const missing: Record<string, string> = {
  keep: "keeps its state", ok: "counts as ok", firing: "fires", no_data: "says so", "": "keeps its state",
};

/** AlarmDialog shows an alarm; nothing while there is none. */
export function AlarmDialog({ alarm, onClose }: { alarm?: AlarmEntry; onClose(): void }) {
  return (
    <Dialog title={alarm?.name ?? ""} open={alarm !== undefined} onClose={onClose} actions={
      <>
        {alarm && mayChange("admin") ? <Button onClick={() => setParams({ alarm: null, silence: alarm.name })}>Silence…</Button> : null}
        {alarm ? <Button onClick={() => setParams({ alarm: null, of: alarm.name, before: null })}>Its history</Button> : null}
        <Button onClick={onClose}>Close</Button>
      </>
    }>
      {alarm ? <Details alarm={alarm} /> : null}
    </Dialog>
  );
}

function Details({ alarm: a }: { alarm: AlarmEntry }) {
  return (
    <>
      <p>{a.message}</p>
      {a.do ? <p><strong>What to do:</strong> {a.do}</p> : null}
      {a.runbook ? <p><Runbook address={a.runbook} /></p> : null}
      {a.external ? <p><Badge tone="none">elsewhere</Badge> It is exported for the system that has its measurements, and not judged here.</p> : <Measured alarm={a} />}
      <Values alarm={a} states={a.states ?? []} />
      <KeyValues items={[
        ["Fires when", condition(a)],
        ["Ends at", a.clear ? shown(a.clear, a) : "the same value"],
        ["Judged", `every ${span(a.every_ns || 10e9)}`],
        ["Needs", a.min_count ? `${count(a.min_count)} measurements` : "one measurement"],
        ["Without data it", missing[a.missing ?? ""] ?? a.missing ?? ""],
        ["Severity", a.severity],
      ]} />
    </>
  );
}

function Measured({ alarm: a }: { alarm: AlarmEntry }) {
  const threshold = a.burn?.length ? undefined : { value: a.threshold, label: "fires" };
  if (a.over) return <RatioChart title={`${a.metric} per ${a.over}`} part={[a.metric]} whole={[a.over]} by={a.by} height={150} threshold={threshold} />;
  return <SeriesChart title={`${a.stat} of ${a.metric}`} lines={[{ q: `${a.stat}:${a.metric}`, label: a.metric }]} by={a.by} height={150} threshold={threshold} />;
}

function Values({ alarm: a, states }: { alarm: AlarmEntry; states: readonly AlarmStatus[] }) {
  if (states.length === 0) return null;
  return (
    <Table label="Present values" name="values" rows={[...states]} id={(s) => s.of ?? ""} columns={[
      ...(a.by ? [{ key: "of", head: a.by, cell: (s: AlarmStatus) => s.of || "–" }] : []),
      { key: "state", head: "State", cell: (s: AlarmStatus) => <Badge tone={s.state === "firing" ? "bad" : s.state === "ok" ? "ok" : "none"}>{s.state === "no_data" ? "no data" : s.state}</Badge> },
      { key: "value", head: "Value", align: "end" as const, cell: (s: AlarmStatus) => (s.has_value ? shown(s.value, a) : "–") },
      { key: "since", head: "Since", cell: (s: AlarmStatus) => <Time at={s.since} /> },
    ]} />
  );
}
