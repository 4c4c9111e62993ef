// Silences: making one, and ending it.

import { useState } from "preact/hooks";
import { api, mayChange } from "../api";
import { type ApiError } from "../api";
import { Button, ConfirmDialog, EmptyState, Select, Table, TextInput, Time, notify, useReset } from "../components";
import { param, setParams } from "../route";
import type { AlarmEntry, NewSilence, Silence } from "../types";

const durations = [
  { value: "30m", label: "30 minutes" }, { value: "1h", label: "1 hour" }, { value: "2h", label: "2 hours" }, { value: "8h", label: "8 hours" },
  { value: "24h", label: "a day" }, { value: "72h", label: "3 days" }, { value: "168h", label: "a week" },
];

/** Silences lists those that hold. */
export function Silences({ silences, reload }: { silences: readonly Silence[]; reload(): void }) {
  return (
    <Table label="Silences" name="silences" rows={[...silences]} id={(s) => s.id} columns={[
      { key: "alarm", head: "Alarm", cell: (s) => <>{s.alarm === "*" ? "all alarms" : s.alarm}{s.of ? `: ${s.of}` : ""}{s.comment ? <span class="cell-sub">{s.comment}</span> : null}</> },
      { key: "by", head: "By", cell: (s) => s.by },
      { key: "until", head: "Until", cell: (s) => <Time at={s.until} /> },
      ...(mayChange("admin") ? [{ key: "do", head: "Change", cell: (s: Silence) => <End silence={s} reload={reload} /> }] : []),
    ]} empty={<EmptyState title="Nothing is silenced">Silence an alarm while you work on its cause, or before maintenance. It ends by itself.</EmptyState>} />
  );
}

function End({ silence: s, reload }: { silence: Silence; reload(): void }) {
  const [busy, setBusy] = useState(false);
  const end = async () => {
    setBusy(true);
    try {
      await api.del(`v1/alarms/silences/${encodeURIComponent(s.id)}`);
      notify("The silence has ended.", "ok");
    } catch (e) {
      notify((e as ApiError).message, "bad");
    }
    setBusy(false);
    reload();
  };
  return <Button kind="quiet" small busy={busy} label={`End the silence of ${s.alarm}`} onClick={() => void end()}>End</Button>;
}

/** SilenceDialog makes a silence for the alarm that the URL names. */
export function SilenceDialog({ alarms, onDone }: { alarms: readonly AlarmEntry[]; onDone(): void }) {
  const asked = param("silence");
  const askedOf = param("on");
  const [made, setMade] = useState<NewSilence>({ alarm: "*", for: "2h" });
  useReset(() => setMade({ alarm: asked || "*", of: askedOf || undefined, for: "2h" }), [asked, askedOf]);
  const close = () => setParams({ silence: null, on: null });
  const silence = async () => {
    await api.post("v1/alarms/silences", { ...made, of: made.of || undefined, comment: made.comment?.trim() || undefined });
    notify(`${made.alarm === "*" ? "All alarms are" : made.alarm + " is"} silenced.`, "ok");
    onDone();
  };
  const values = alarms.find((a) => a.name === made.alarm)?.states?.map((s) => s.of ?? "").filter(Boolean) ?? [];
  return (
    <ConfirmDialog title="Silence" open={asked !== ""} onClose={close} confirm="Silence" onConfirm={silence}>
      <p>Nobody is told while the silence lasts. The alarm is judged and shown all the same.</p>
      <Select label="Alarm" value={made.alarm} onChange={(alarm: string) => setMade({ ...made, alarm, of: undefined })}
        options={[{ value: "*", label: "all alarms" }, ...alarms.map((a) => ({ value: a.name, label: a.name }))]} />
      {values.length > 0 ? (
        <Select label="Only for" value={made.of ?? ""} onChange={(of: string) => setMade({ ...made, of })}
          options={[{ value: "", label: "all of its values" }, ...values.map((v) => ({ value: v, label: v }))]} />
      ) : null}
      <Select label="For" value={made.for} options={durations} onChange={(d: string) => setMade({ ...made, for: d })} />
      <TextInput label="Comment" value={made.comment ?? ""} placeholder="why, for those who find it" onInput={(comment: string) => setMade({ ...made, comment })} />
    </ConfirmDialog>
  );
}
