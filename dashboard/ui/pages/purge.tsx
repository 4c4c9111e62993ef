// Removing final jobs for good.

import { useState } from "preact/hooks";
import { api } from "../api";
import { Button, ConfirmDialog, Select, TextInput, notify } from "../components";
import { count } from "../format";
import type { JobState, JobStats } from "../types";

const finals: readonly JobState[] = ["completed", "failed", "timeout", "cancelled", "dead"];

const ages = [
  { value: "", label: "of any age" }, { value: "1h", label: "accepted more than an hour ago" },
  { value: "24h", label: "accepted more than a day ago" }, { value: "168h", label: "accepted more than a week ago" },
];

/** Purge asks which final jobs are to go, and removes them once the word is typed. */
export function Purge({ stats, onDone }: { stats?: JobStats; onDone(): void }) {
  const [open, setOpen] = useState(false);
  const [chosen, setChosen] = useState<readonly JobState[]>([]);
  const [before, setBefore] = useState("24h");
  const [operation, setOperation] = useState("");
  const most = chosen.reduce((n, s) => n + (stats?.[s] ?? 0), 0);
  const purge = async () => {
    const { removed } = await api.post<{ removed: number }>("v1/jobs/purge", {
      states: chosen, before: before || undefined, operation: operation.trim() || undefined,
    });
    notify(`${count(removed)} jobs are removed.`, "ok");
    onDone();
  };
  const turn = (s: JobState) => setChosen(chosen.includes(s) ? chosen.filter((c) => c !== s) : [...chosen, s]);
  return (
    <>
      <Button onClick={() => setOpen(true)}>Purge…</Button>
      <ConfirmDialog title="Purge jobs" open={open} onClose={() => setOpen(false)} confirm={`Purge${most ? ` up to ${count(most)}` : ""}`}
        typed="purge" danger onConfirm={purge} disabled={chosen.length === 0}>
        <p>Jobs and their results are removed for good. Only jobs that have ended can go.</p>
        <fieldset class="checks">
          <legend>States</legend>
          {finals.map((s) => (
              <label key={s} class="check">
                <input type="checkbox" checked={chosen.includes(s)} onChange={() => turn(s)} /> {s} ({count(stats?.[s] ?? 0)})
              </label>
            ))}
        </fieldset>
        <Select label="Age" value={before} options={ages} onChange={setBefore} />
        <TextInput label="Operation" value={operation} placeholder="all operations" onInput={setOperation} />
      </ConfirmDialog>
    </>
  );
}
