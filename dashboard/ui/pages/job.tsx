// One durable job: what is known of it, and what may be done with it.

import { useState } from "preact/hooks";
import { type ApiError, api, mayChange } from "../api";
import { Badge, Button, ConfirmDialog, Copy, Dialog, ErrorState, KeyValues, Loaded, Select, Time, notify } from "../components";
import { bytes, count, seconds, words } from "../format";
import { useQuery } from "../query";
import { href } from "../route";
import type { Job, JobState } from "../types";

const tones: Record<JobState, "ok" | "warn" | "bad" | "info" | "none"> = {
  queued: "none", processing: "info", completed: "ok", failed: "bad", timeout: "bad", cancelled: "none", dead: "bad",
};

/** StateOfJob is a job's state as a badge. */
export function StateOfJob({ job }: { job: Job }) {
  return <Badge tone={tones[job.state] ?? "none"}>{job.state}</Badge>;
}

/** JobDialog shows the job with this id; nothing where id is empty. */
export function JobDialog({ id, onClose, onChanged }: { id: string; onClose(): void; onChanged(): void }) {
  const query = useQuery<Job | null>((signal) => (id ? api.get(`v1/jobs/${encodeURIComponent(id)}`, {}, signal) : Promise.resolve(null)), [id], id ? 3_000 : 0);
  const job = query.data?.id === id ? query.data : undefined;
  return (
    <Dialog title={`Job ${id.slice(-12)}`} open={id !== ""} onClose={onClose}
      actions={<>{job && mayChange("jobs") ? <Changes job={job} onChanged={() => { query.reload(); onChanged(); }} /> : null}<Button onClick={onClose}>Close</Button></>}>
      <Loaded query={query}>{(j) => (j && j.id === id ? <Details job={j} /> : null)}</Loaded>
    </Dialog>
  );
}

function Details({ job: j }: { job: Job }) {
  const at = (t?: string) => (t ? <Time at={t} /> : null); // what is not known is left out
  const took = (from?: string, to?: string) => (from && to ? ` (${seconds((Date.parse(to) - Date.parse(from)) / 1000)})` : "");
  return (
    <>
      {j.error ? <p class="fault"><strong>{words(j.error.error_type)}</strong>: {j.error.message}</p> : null}
      <KeyValues items={[
        ["State", <StateOfJob job={j} />],
        ["Id", <Copy text={j.id} label="the id" />],
        ["Operation", j.operation],
        ["Endpoint", j.endpoint],
        ["Model", j.model],
        ["Priority", j.priority + (j.place !== undefined ? `, place ${count(j.place)}` : "")],
        ["Tenant", j.tenant],
        ["User", j.user],
        ["Caller's own id", j.custom_id],
        ["Accepted", at(j.created_at)],
        ["Not before", at(j.not_before)],
        ["Started", j.started_at ? <>{at(j.started_at)}{took(j.created_at, j.started_at)}</> : null],
        ["Finished", j.finished_at ? <>{at(j.finished_at)}{took(j.started_at, j.finished_at)}</> : null],
        ["Deadline", at(j.deadline_at)],
        ["Result kept until", at(j.result_until)],
        ["Attempts", count(j.attempt)],
        ["Leases lost", j.lost_leases > 0 ? count(j.lost_leases) : null],
        ["Size", bytes(j.bytes)],
        ["Webhook", j.webhook ? `${j.webhook.state} after ${count(j.webhook.attempts)} attempts` : null],
      ]} />
      <p><a href={href("requests", { operation: j.operation, user: j.user })}>Requests of this operation and user</a></p>
    </>
  );
}

function Changes({ job: j, onChanged }: { job: Job; onChanged(): void }) {
  const [asking, setAsking] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const live = j.state === "queued" || j.state === "processing";
  const run = async (what: Promise<unknown>, said: string) => {
    setError(null);
    try {
      await what;
      notify(said, "ok");
      onChanged();
    } catch (e) {
      setError(e as ApiError);
      onChanged(); // the job may have moved on meanwhile
    }
  };
  const path = `v1/jobs/${encodeURIComponent(j.id)}`;
  return (
    <>
      {error ? <ErrorState error={error} /> : null}
      {j.state === "queued" ? (
        <Select label="Priority" value={j.priority} options={["critical", "high", "normal", "low"]}
          onChange={(priority: string) => void run(api.patch(path, { priority }), `The job's priority is ${priority}.`)} />
      ) : null}
      {["failed", "timeout", "cancelled", "dead"].includes(j.state)
        ? <Button kind="primary" onClick={() => void run(api.post(`${path}/requeue`), "The job is queued again.")}>Requeue</Button> : null}
      {live ? <Button kind="danger" onClick={() => setAsking(true)}>Cancel the job…</Button> : null}
      <ConfirmDialog title="Cancel the job?" open={asking} onClose={() => setAsking(false)} confirm="Cancel the job" danger
        onConfirm={async () => { await api.del(path); notify("The job is cancelled.", "ok"); onChanged(); }}>
        <p>It is not made any more; what a provider has done for it so far is still paid. It may be requeued later.</p>
      </ConfirmDialog>
    </>
  );
}
