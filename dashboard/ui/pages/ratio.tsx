// A chart of a ratio of sums, such as a hit rate: the API gives the sums in steps, and what is divided is
// divided here, so that a step without calls is a gap and not a zero.

import { api } from "../api";
import { Chart } from "../components";
import { percent } from "../format";
import { useQuery } from "../query";
import { timeWindow, windowSeconds } from "../route";
import type { SeriesAnswer, SeriesLine } from "../types";

/** refresh is how often charts over a window load again, in milliseconds: more often than a step is no use. */
export function refresh(range = timeWindow()): number {
  return Math.min(Math.max(windowSeconds(range) * 5, 5_000), 60_000);
}

/** useSums loads the sums of metrics in steps, as a whole or by each value of a label. */
export function useSums(metrics: readonly string[], by?: string) {
  const range = timeWindow();
  return useQuery<SeriesAnswer>(
    (signal) => api.get("v1/series", { q: metrics.map((m) => `sum:${m}`), window: range, by }, signal),
    [metrics, range, by ?? ""], refresh(range),
  );
}

/** stepTimes are the Unix seconds of an answer's steps. */
export function stepTimes(answer?: SeriesAnswer): number[] {
  const steps = Math.max(0, ...(answer?.series ?? []).map((line) => line.values?.length ?? 0));
  return Array.from({ length: steps }, (_, i) => (answer?.from ?? 0) + i * (answer?.step_seconds ?? 1));
}

function add(lines: readonly SeriesLine[], steps: number): (number | null)[] {
  return Array.from({ length: steps }, (_, i) => {
    const known = lines.map((line) => line.values?.[i]).filter((v): v is number => v !== null && v !== undefined);
    return known.length === 0 ? null : known.reduce((a, b) => a + b, 0);
  });
}

/** ratios divides the sum of part by the sum of whole, step by step, for each value of the label. */
export function ratios(answer: SeriesAnswer | undefined, part: readonly string[], whole: readonly string[]) {
  const all = answer?.series ?? [];
  const steps = stepTimes(answer).length;
  const names = [...new Set(all.map((line) => line.of ?? ""))];
  return names.map((of) => {
    const own = all.filter((line) => (line.of ?? "") === of);
    const over = add(own.filter((line) => part.includes(line.metric)), steps);
    const under = add(own.filter((line) => whole.includes(line.metric)), steps);
    const values = under.map((n, i) => (n ? (over[i] ?? 0) / n : null));
    return { of, values, weight: under.reduce<number>((sum, n) => sum + (n ?? 0), 0) };
  });
}

interface RatioChartProps {
  title: string;
  part: readonly string[];
  whole: readonly string[];
  by?: string;
  label?: string;
  height?: number;
  tone?: "ok" | "bad" | "info";
  threshold?: { value: number; label: string };
}

/** RatioChart shows a ratio over the chosen range; with by, the six values of the label with the most calls. */
export function RatioChart(p: RatioChartProps) {
  const query = useSums([...new Set([...p.part, ...p.whole])], p.by);
  const found = ratios(query.data, p.part, p.whole).filter((line) => line.weight > 0);
  // The names order the lines, so that each keeps its colour while weights change.
  const lines = found.sort((a, b) => b.weight - a.weight).slice(0, 6).sort((a, b) => a.of.localeCompare(b.of, "en"))
    .map((line) => ({ label: line.of || p.label || p.title, values: line.values, tone: p.by ? undefined : p.tone, area: !p.by }));
  return (
    <Chart title={p.title} times={stepTimes(query.data)} lines={lines} format={(v: number) => percent(v)}
      height={p.height} threshold={p.threshold} loading={query.loading} />
  );
}
