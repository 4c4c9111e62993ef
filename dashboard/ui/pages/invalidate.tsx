// The dialog that makes stored answers void. What would go is counted before anything goes.

import { useState } from "preact/hooks";
import { ApiError, api, can } from "../api";
import { Button, Dialog, ErrorState, TextInput, notify, useReset } from "../components";
import { count } from "../format";
import type { Invalidated, Invalidation } from "../types";

interface Props {
  open: boolean;
  onClose(): void;
  onDone(): void;
  operations: readonly string[];
  /** A single answer's key, where that is meant. */
  cacheKey: string;
}

/** Invalidate asks what is meant, counts it, and only then offers to do it. */
export function Invalidate(p: Props) {
  const [scope, setScope] = useState<Invalidation>({});
  const [counted, setCounted] = useState<Invalidated | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  useReset(() => {
    setScope(p.cacheKey ? { key: p.cacheKey } : {});
    setCounted(null);
    setError(null);
  }, [p.open, p.cacheKey]);
  const change = (part: Invalidation) => {
    setScope({ ...scope, ...part });
    setCounted(null); // it was the count of something else
    setError(null);
  };
  const send = async (dry: boolean) => {
    setBusy(true);
    setError(null);
    try {
      const done = await api.post<Invalidated>("v1/cache/invalidate", { ...trimmed(scope), dry_run: dry || undefined });
      if (dry) setCounted(done);
      else finish(done);
    } catch (e) {
      setError(e as ApiError);
    }
    setBusy(false);
  };
  const finish = (done: Invalidated) => {
    notify(`${count(done.memory)} answers in memory are void.` + (done.durable ? "" : " This was not written down: the store is off or down."), "ok");
    p.onClose();
    p.onDone();
  };
  const found = counted ? counted.memory + (counted.store ?? 0) : 0;
  return (
    <Dialog title="Invalidate answers" open={p.open} onClose={p.onClose} actions={
      <>
        <Button onClick={p.onClose}>Cancel</Button>
        {counted
          ? <Button kind="danger" busy={busy} disabled={found === 0} onClick={() => void send(false)}>{`Invalidate ${count(found)}`}</Button>
          : <Button kind="primary" busy={busy} onClick={() => void send(true)}>Count first</Button>}
      </>
    }>
      <p>Answers that match all that is filled in are never given again. Their next request goes to a provider.</p>
      <Fields scope={scope} change={change} operations={p.operations} />
      {error ? <ErrorState error={error} /> : null}
      <div aria-live="polite">{counted ? <Counted counted={counted} scope={trimmed(scope)} /> : null}</div>
    </Dialog>
  );
}

function Fields({ scope, change, operations }: { scope: Invalidation; change(part: Invalidation): void; operations: readonly string[] }) {
  return (
    <>
      <TextInput label="Operation" value={scope.operation ?? ""} list={operations} placeholder="all operations" onInput={(operation: string) => change({ operation })} />
      <TextInput label="User" value={scope.user ?? ""} placeholder="all users" onInput={(user: string) => change({ user })} />
      <TextInput label="Model" value={scope.model ?? ""} placeholder="all models" onInput={(model: string) => change({ model })} />
      <TextInput label="Answer" value={scope.key ?? ""} placeholder="all answers" hint="64 hexadecimal digits, as a request's page gives them" onInput={(key: string) => change({ key })} />
      {can("admin") ? (
        <label class="check">
          <input type="checkbox" checked={scope.all_tenants ?? false} onChange={(e) => change({ all_tenants: e.currentTarget.checked || undefined })} /> Those of all tenants
        </label>
      ) : null}
    </>
  );
}

function Counted({ counted, scope }: { counted: Invalidated; scope: Invalidation }) {
  const { memory, store } = counted;
  if (memory + (store ?? 0) === 0) return <p><strong>Nothing matches.</strong> Check the spelling, or leave a field empty to widen it.</p>;
  const narrow = scope.operation || scope.user || scope.model || scope.key;
  return (
    <p>
      <strong>{count(memory)} in memory{store === undefined ? "" : ` and ${count(store)} in the store`}</strong> would be void.
      {narrow ? "" : " Nothing is filled in: that is every answer."}
    </p>
  );
}

/** trimmed leaves out what is empty. */
function trimmed(scope: Invalidation): Invalidation {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(scope)) {
    const v = typeof value === "string" ? value.trim() : value;
    if (v) kept[name] = v;
  }
  return kept;
}
