// Who is told of alarms, and whether that works.

import { useState } from "preact/hooks";
import { type ApiError, api, mayChange } from "../api";
import { Badge, Button, EmptyState, ErrorState, Table, Time } from "../components";
import { count, hasTime, seconds } from "../format";
import type { AlarmTest, NotifierStatus } from "../types";

/** Notifiers lists the ways to tell people, with a test for each. */
export function Notifiers({ notifiers }: { notifiers: readonly NotifierStatus[] }) {
  const [results, setResults] = useState<Record<string, string>>({});
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState("");
  const test = async (name: string) => {
    setBusy(name || "*");
    setError(null);
    try {
      const done = await api.post<AlarmTest>("v1/alarms/test", name ? { notifier: name } : undefined);
      setResults({ ...results, ...Object.fromEntries((done.data ?? []).map((r) => [r.notifier, r.ok ? `ok in ${seconds(r.seconds)}` : r.error || "failed"])) });
    } catch (e) {
      setError(e as ApiError);
    }
    setBusy("");
  };
  const may = mayChange("admin");
  return (
    <>
      <Table label="Who is told" name="notifiers" rows={[...notifiers]} id={(n) => n.name} columns={[
        { key: "name", head: "By", cell: (n) => n.name },
        { key: "state", head: "State", cell: (n) => <State notifier={n} /> },
        { key: "sent", head: "Sent", align: "end", cell: (n) => count(n.sent) },
        { key: "failed", head: "Failed", align: "end", cell: (n) => count(n.failed + n.dropped), title: "Given up after all tries, or dropped since too many waited" },
        { key: "last", head: "Last", cell: (n) => (hasTime(n.last_sent) ? <Time at={n.last_sent!} /> : "never") },
        ...(may ? [{ key: "do", head: "Test", cell: (n: NotifierStatus) => (
          <><Button kind="quiet" small busy={busy === n.name} label={`Send a test by ${n.name}`} onClick={() => void test(n.name)}>Test</Button>
            <span class="cell-sub" role="status">{results[n.name] ?? ""}</span></>
        ) }] : []),
      ]} empty={<EmptyState title="Nobody is told" code={"alarms:\n  notifiers:\n    team:\n      type: slack\n      url: ${SLACK_URL}"}>
        Alarms are shown here only. Name a webhook, Slack or a mail address, and people hear of them.
      </EmptyState>} />
      {error ? <ErrorState error={error} /> : null}
      {may && notifiers.length > 1 ? <Button busy={busy === "*"} onClick={() => void test("")}>Test all</Button> : null}
    </>
  );
}

function State({ notifier: n }: { notifier: NotifierStatus }) {
  if (n.last_error) return <><Badge tone="bad">fails</Badge><span class="cell-sub">{n.last_error}</span></>;
  if (n.waiting > 0) return <Badge tone="warn">{`${count(n.waiting)} waiting`}</Badge>;
  return <Badge tone="ok">works</Badge>;
}
