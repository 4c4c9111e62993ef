// The list of durable jobs: by state, with filters, page by page.

import { useState } from "preact/hooks";
import { type ApiError, api, mayChange } from "../api";
import { Button, Card, ConfirmDialog, EmptyState, FilterBar, Loaded, Table, Tabs, Time, notify } from "../components";
import { count, seconds } from "../format";
import { useQuery } from "../query";
import { param, setParams } from "../route";
import type { Job, JobList, JobState, JobStats } from "../types";
import { JobDialog, StateOfJob } from "./job";
import { Purge } from "./purge";

const states: readonly JobState[] = ["queued", "processing", "completed", "failed", "timeout", "cancelled", "dead"];

/** What a list without jobs means, by the state that was asked for. */
const emptiness: Record<string, string> = {
  "": "Send a call with the header Prefer: respond-async, or POST it to /v1/jobs.",
  queued: "Nothing waits: jobs begin as soon as they are taken in.",
  processing: "No job runs at the moment.",
  completed: "No result is kept. Results go when their time is up.",
  failed: "No job failed in a way that another attempt does not change.",
  timeout: "No job ran out of its time.",
  cancelled: "Nobody cancelled a job.",
  dead: "No job used up its attempts. This is how it should be.",
};

const filters = [
  { key: "op", param: "operation", about: "the job's operation" },
  { key: "user", param: "user", about: "whose job it is" },
  { key: "tenant", param: "tenant", about: "needs the scope admin for others than your own" },
  { key: "custom", param: "custom_id", about: "the caller's own id of the job" },
];

/** Jobs is the list and what is done with it. */
export function Jobs({ stats, reloadStats }: { stats?: JobStats; reloadStats(): void }) {
  const state = param("state");
  const asked = {
    state, operation: param("operation"), user: param("user"), tenant: param("tenant"), custom_id: param("custom_id"),
    after: param("before"), order: param("order"), limit: 25,
  };
  const list = useQuery<JobList>((signal) => api.get("v1/jobs", asked, signal), [asked], 5_000);
  const changed = () => { list.reload(); reloadStats(); };
  const options = [{ value: "", label: "All" }, ...states.map((s) => ({ value: s as string, label: stats ? `${s} ${count(stats[s])}` : s }))];
  return (
    <Card title="Jobs" id="job-list" actions={mayChange("jobs") ? <><RequeueAll state={state} list={list.data} onDone={changed} /><Purge stats={stats} onDone={changed} /></> : undefined}>
      <Tabs label="State" value={state} options={options} onChange={(s: string) => setParams({ state: s, before: null })} />
      <FilterBar keys={filters} label="Filter jobs" placeholder="op:analysis user:u1" />
      <Loaded query={list}>{(l) => <List list={l} state={state} />}</Loaded>
      <JobDialog id={param("job")} onClose={() => setParams({ job: null })} onChanged={changed} />
    </Card>
  );
}

function List({ list, state }: { list: JobList; state: string }) {
  const before = param("before"); // the name that filters reset
  return (
    <>
      <Table label="Jobs" name="jobs" rows={list.data ?? []} id={(j) => j.id} onOpen={(j: Job) => setParams({ job: j.id }, true)} columns={[
        { key: "id", head: "Job", cell: (j) => <code class="id" title={j.id}>{j.id.slice(-12)}</code> },
        { key: "state", head: "State", cell: (j) => <StateOfJob job={j} /> },
        { key: "operation", head: "Operation", cell: (j) => <span class="id">{j.operation || j.endpoint || "–"}</span> },
        { key: "priority", head: "Priority", cell: (j) => j.priority },
        { key: "user", head: "User", cell: (j) => <span class="id">{j.user || "–"}</span> },
        { key: "age", head: "Accepted", align: "end", cell: (j) => <Time at={j.created_at} /> },
        { key: "attempt", head: "Attempt", align: "end", cell: (j) => count(j.attempt) },
        { key: "what", head: "What is known", wide: true, cell: (j) => known(j) },
      ]} empty={<EmptyState title={state ? `No ${state} jobs` : "No jobs yet"}>{emptiness[state] ?? ""}</EmptyState>} />
      {before || list.has_more ? (
        <div class="pager" role="group" aria-label="Pages of jobs">
          <Button disabled={!before} onClick={() => setParams({ before: null }, true)}>Newest</Button>
          <Button disabled={!list.has_more} onClick={() => setParams({ before: list.next }, true)}>Older</Button>
        </div>
      ) : null}
    </>
  );
}

/** known is the one thing about a job that its reader asks first. */
function known(j: Job): string {
  if (j.error) return j.error.message || j.error.error_type;
  switch (j.state) {
    case "queued":
      if (j.place === undefined) return j.not_before ? "waits for its next attempt" : "";
      return `place ${count(j.place)}` + (j.estimated_wait_ms ? `, about ${seconds(j.estimated_wait_ms / 1000)} left` : "");
    case "processing":
      return j.started_at ? `runs for ${seconds((Date.now() - Date.parse(j.started_at)) / 1000)}` : "";
    case "completed":
      return j.started_at && j.finished_at ? `took ${seconds((Date.parse(j.finished_at) - Date.parse(j.started_at)) / 1000)}` : "";
  }
  return "";
}

/** RequeueAll requeues what the list shows, where its state allows that. */
function RequeueAll({ state, list, onDone }: { state: string; list?: JobList; onDone(): void }) {
  const [open, setOpen] = useState(false);
  const jobs = list?.data ?? [];
  if (!["failed", "timeout", "cancelled", "dead"].includes(state) || jobs.length === 0) return null;
  const requeue = async () => {
    let failed: ApiError | null = null;
    let done = 0;
    for (const j of jobs) { // one after the other: there is no hurry, and the queue has to take them in
      try {
        await api.post(`v1/jobs/${j.id}/requeue`);
        done++;
      } catch (e) {
        failed = e as ApiError;
      }
    }
    onDone();
    if (failed && done === 0) throw failed;
    notify(`${count(done)} of ${count(jobs.length)} jobs are queued again.` + (failed ? ` ${failed.message}` : ""), failed ? "warn" : "ok");
  };
  return (
    <>
      <Button onClick={() => setOpen(true)}>{`Requeue these ${count(jobs.length)}…`}</Button>
      <ConfirmDialog title={`Requeue ${count(jobs.length)} ${state} jobs?`} open={open} onClose={() => setOpen(false)} confirm="Requeue" onConfirm={requeue}>
        <p>Those on this page are made again, from their first attempt on. Each may cost money once more. Fix what they failed of first: see a job's error.</p>
      </ConfirmDialog>
    </>
  );
}
