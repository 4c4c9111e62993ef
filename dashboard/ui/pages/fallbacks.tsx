// What answered in the place of providers.

import { EmptyState, Loaded, SeriesChart, Table } from "../components";
import { count, percent } from "../format";
import { href, param, timeWindow } from "../route";
import type { SeriesAnswer } from "../types";
import { useSums } from "./ratio";
import { Share } from "./share";

const strategies: Record<string, string> = {
  cached: "an older answer to the same request", similar: "a stored answer to a similar request",
  template: "a text that was written for it", simplified: "a smaller model or a shorter answer", error: "an error that says what to do",
};

/** Fallbacks shows which fallbacks answered over the chosen range. */
export function Fallbacks() {
  const sums = useSums(["degraded"], "fallback");
  return <Loaded query={sums}>{(answer) => <Mix answer={answer} />}</Loaded>;
}

function Mix({ answer }: { answer: SeriesAnswer }) {
  const rows = (answer.series ?? []).filter((l) => l.of)
    .map((l) => ({ name: l.of ?? "", n: (l.values ?? []).reduce<number>((sum, v) => sum + (v ?? 0), 0) })).filter((r) => r.n > 0).sort((a, b) => b.n - a.n);
  const all = rows.reduce((sum, r) => sum + r.n, 0);
  if (all === 0) return <EmptyState title="No fallback was needed">Every call of the last {timeWindow()} was answered by a provider or by the cache.</EmptyState>;
  return (
    <div class="halves">
      <SeriesChart title="Calls that a fallback answered" lines={[{ q: "sum:degraded", label: "Fallbacks" }]} by="fallback" stacked height={180} />
      <Table label="Fallbacks" name="fallbacks" rows={rows} id={(r) => r.name} columns={[
        { key: "name", head: "Fallback", wide: true, cell: (r) => <><a href={href("requests", { fallback: r.name, window: param("window") })}>{r.name}</a><span class="cell-sub">{strategies[r.name] ?? ""}</span></> },
        { key: "n", head: "Calls", align: "end", cell: (r) => count(r.n) },
        { key: "share", head: "Share", cell: (r) => <Share share={r.n / all} name={r.name} text={percent(r.n / all, 0)} /> },
      ]} />
    </div>
  );
}
