// How the durable queue stands: its bands, its pace, and what is paused.

import { useState } from "preact/hooks";
import { type ApiError, api, mayChange } from "../api";
import { Badge, Button, Card, Dialog, EmptyState, ErrorState, Grid, KeyValues, Table, TextInput, notify } from "../components";
import { ago, bytes, count, rate, seconds } from "../format";
import type { JobStats } from "../types";

/** The bands, the most urgent first. */
export const bandNames = ["critical", "high", "normal", "low"] as const;

/** StatesOfJobs shows bands, pace and pauses. */
export function StatesOfJobs({ stats, reload }: { stats: JobStats; reload(): void }) {
  return (
    <Grid columns={2}>
      <Card title="Bands">{stats.bands ? <Bands stats={stats} /> : (
        <EmptyState title="For administrators">Bands span all tenants, so they need a key with the scope admin.</EmptyState>
      )}</Card>
      <Card title="Pace" actions={mayChange("admin") ? <Pause reload={reload} /> : undefined}>
        <Paused stats={stats} reload={reload} />
        <KeyValues items={[
          ["Ended in the last minute", rate(stats.drain_rate_per_second)],
          ["Accepted since the start", count(stats.accepted)],
          ["Refused: no room", count(stats.refused)],
          ["Attempts repeated", count(stats.retries)],
          ["Leases lost", count(stats.lost_leases)],
          ["Late results thrown away", count(stats.fenced)],
          ["Size of what is queued", bytes(stats.queued_bytes ?? 0)],
          ...(stats.counted_at ? [["Jobs by state counted", ago(stats.counted_at)] as [string, preact.ComponentChild]] : []),
          ...(stats.damaged > 0 ? [["Damaged records", <Badge tone="bad">{count(stats.damaged)}</Badge>] as [string, preact.ComponentChild]] : []),
        ]} />
      </Card>
    </Grid>
  );
}

function Bands({ stats }: { stats: JobStats }) {
  const rows = bandNames.map((name) => ({ name, ...(stats.bands?.[name] ?? { queued: 0, processing: 0, delayed: 0, oldest_seconds: 0, estimated_wait_seconds: 0 }) }));
  return (
    <Table label="Jobs by band" name="bands" rows={rows} id={(r) => r.name} columns={[
      { key: "name", head: "Band", cell: (r) => r.name },
      { key: "queued", head: "Queued", align: "end", cell: (r) => <>{count(r.queued)}{r.delayed > 0 ? <span class="cell-sub" title="They wait for their next attempt">{count(r.delayed)} delayed</span> : null}</> },
      { key: "processing", head: "Running", align: "end", cell: (r) => count(r.processing) },
      { key: "oldest", head: "Oldest", align: "end", cell: (r) => (r.oldest_seconds > 0 ? seconds(r.oldest_seconds) : "–") },
      { key: "wait", head: "Newest waits", align: "end", cell: (r) => (r.estimated_wait_seconds > 0 ? seconds(r.estimated_wait_seconds) : "–"), title: "An estimate for the job that came last" },
    ]} />
  );
}

function Paused({ stats, reload }: { stats: JobStats; reload(): void }) {
  if (stats.draining) return <p><Badge tone="warn">draining</Badge> The queue takes nothing in because it stops.</p>;
  const paused = stats.paused ?? [];
  if (paused.length === 0) return null;
  return (
    <ul class="plain">
      {paused.map((operation) => (
        <li key={operation} class="row">
          <Badge tone="warn">paused</Badge> {operation || "all operations"}
          {mayChange("admin") ? <Resume operation={operation} reload={reload} /> : null}
        </li>
      ))}
    </ul>
  );
}

function Resume({ operation, reload }: { operation: string; reload(): void }) {
  const [busy, setBusy] = useState(false);
  const resume = async () => {
    setBusy(true);
    try {
      await api.post("v1/jobs/resume", { operation });
      notify(`Jobs of ${operation || "all operations"} run again.`, "ok");
      reload();
    } catch (e) {
      notify((e as ApiError).message, "bad");
    }
    setBusy(false);
  };
  return <Button busy={busy} onClick={() => void resume()} small label={`Resume ${operation || "all operations"}`}>Resume</Button>;
}

function Pause({ reload }: { reload(): void }) {
  const [open, setOpen] = useState(false);
  const [operation, setOperation] = useState("");
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const close = () => { setOpen(false); setError(null); };
  const pause = async () => {
    setBusy(true);
    setError(null);
    try {
      await api.post("v1/jobs/pause", { operation: operation.trim() });
      notify(`Jobs of ${operation.trim() || "all operations"} are paused.`, "ok");
      close();
      reload();
    } catch (e) {
      setError(e as ApiError);
    }
    setBusy(false);
  };
  return (
    <>
      <Button onClick={() => setOpen(true)}>Pause…</Button>
      <Dialog title="Pause jobs" open={open} onClose={close} actions={
        <><Button onClick={close}>Cancel</Button><Button kind="primary" busy={busy} onClick={() => void pause()}>Pause</Button></>
      }>
        <p>Nothing of the operation is begun until it is resumed. Jobs are still taken in, and those that run end.</p>
        <TextInput label="Operation" value={operation} placeholder="all operations" onInput={setOperation} />
        {error ? <ErrorState error={error} /> : null}
      </Dialog>
    </>
  );
}
