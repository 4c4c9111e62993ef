// A breaker's state, and forcing it.

import { useEffect, useState } from "preact/hooks";
import { api } from "../api";
import { Badge, Button, ConfirmDialog, Select, TextInput, notify, useReset } from "../components";
import { seconds } from "../format";
import { param, setParams } from "../route";
import type { BreakerChange, Target } from "../types";

const words: Record<string, ["ok" | "warn" | "bad", string]> = { closed: ["ok", "closed"], half_open: ["warn", "half-open"], open: ["bad", "open"] };

/** StateOfBreaker is the state as a badge. */
export function StateOfBreaker({ breaker }: { breaker: { state: string; forced: boolean } }) {
  const [tone, word] = words[breaker.state] ?? ["warn", breaker.state];
  return <Badge tone={tone}>{breaker.forced ? `${word}, forced` : word}</Badge>;
}

/** Countdown shows how long it is until a time, second by second. */
export function Countdown({ until }: { until: string }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [until]);
  const left = Math.ceil((Date.parse(until) - now) / 1000);
  return <>{left > 0 ? seconds(left) : "a moment"}</>;
}

type Action = BreakerChange["action"];

const actions: Record<Action, { title: string; about: string; danger: boolean }> = {
  open: { title: "Force open", danger: true, about: "No call goes to the target until it is reset. Calls go to other targets, or are answered by a fallback." },
  close: { title: "Force closed", danger: true, about: "Every call goes to the target until it is reset, however many fail." },
  reset: { title: "Reset", danger: false, about: "The breaker closes with nothing counted, and opens and closes by itself again." },
};

/** offered are the changes that would change something, the likeliest first. */
function offered(t: Target): Action[] {
  const { state, forced } = t.breaker;
  const all: Action[] = forced || state !== "closed" ? ["reset"] : [];
  if (!(forced && state === "open")) all.push("open");
  if (!(forced && state === "closed")) all.push("close");
  return all;
}

/** ChangeBreaker is the button in a target's row. */
export function ChangeBreaker({ target: t }: { target: Target }) {
  return <Button small label={`Change the breaker of ${t.name}`} onClick={() => setParams({ breaker: t.name })}>Change…</Button>;
}

/** BreakerDialog asks what is to become of the breaker that the URL names, and why. */
export function BreakerDialog({ targets, onDone }: { targets: readonly Target[]; onDone(): void }) {
  const target = targets.find((t) => t.name === param("breaker"));
  const choices = target ? offered(target) : [];
  const [chosen, setChosen] = useState<Action | null>(null);
  const [reason, setReason] = useState("");
  useReset(() => { setReason(""); setChosen(null); }, [target?.name]);
  const action = chosen && choices.includes(chosen) ? chosen : (choices[0] ?? "reset");
  const what = actions[action];
  const change = async () => {
    await api.post("v1/breakers", { target: target?.name, action, reason: reason.trim() || undefined });
    notify(`${what.title}: ${target?.name}. It is written to the audit.`, "ok");
    onDone();
  };
  return (
    <ConfirmDialog title={`Breaker of ${target?.name ?? ""}`} open={target !== undefined} onClose={() => setParams({ breaker: null })}
      confirm={what.title} danger={what.danger} onConfirm={change}>
      <Select label="What is to be done" value={action} options={choices.map((a) => ({ value: a, label: actions[a].title }))} onChange={(a) => setChosen(a as Action)} />
      <p>{what.about}</p>
      <TextInput label="Reason" value={reason} maxLength={256} hint="Shown here and written to the audit" placeholder="such as: provider's maintenance until 14:00" onInput={setReason} />
    </ConfirmDialog>
  );
}
