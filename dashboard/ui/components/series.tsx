// Charts of what the gateway measured: they load it themselves.

import { useMemo } from "preact/hooks";
import { api } from "../api";
import { useQuery, type Query } from "../query";
import { timeWindow, windowSeconds } from "../route";
import type { SeriesAnswer, SeriesLine } from "../types";
import { Chart, type ChartLine } from "./chart";
import type { Tone } from "./layout";
import { ErrorState } from "./states";

export interface SeriesQuery {
  /** Statistic and metric, such as "p95:duration". */
  q: string;
  label: string;
  tone?: Tone;
  area?: boolean;
}

/** pace is how often a window's charts are loaded: a thirtieth of its step says nothing new. */
function pace(range: string): number {
  return Math.min(Math.max(windowSeconds(range) * 2, 5_000), 60_000);
}

/** useSeries loads series over the chosen window. */
export function useSeries(queries: readonly string[], options: { window?: string; by?: string; every?: number } = {}): Query<SeriesAnswer> {
  const range = options.window ?? timeWindow();
  return useQuery((signal) => api.get<SeriesAnswer>("v1/series", { q: queries, window: range, by: options.by }, signal),
    [queries, range, options.by], options.every ?? pace(range));
}

/** weight orders lines: those with the most in them first. */
function weight(line: SeriesLine): number {
  return (line.values ?? []).reduce<number>((sum, v) => sum + Math.abs(v ?? 0), 0);
}

export function SeriesChart(props: {
  title: string; lines: readonly SeriesQuery[]; window?: string; by?: string; unit?: string; stacked?: boolean;
  threshold?: { value: number; label: string }; height?: number; limit?: number; every?: number; about?: string;
  format?: (v: number) => string;
  /** Maps a value of the label to what is shown. */
  name?: (of: string) => string;
  tones?: Record<string, Tone>;
  /** Shows only this value of the label. */
  only?: string;
}) {
  const query = useSeries(props.lines.map((l) => l.q), { window: props.window, by: props.by, every: props.every });
  const answer = query.data;
  const { times, lines, unit } = useMemo(() => drawn(answer, props), [answer, props.by, props.only, props.lines.map((l) => l.q).join()]);
  if (!answer && query.error) return <figure class="chart"><div class="chart-head"><figcaption>{props.title}</figcaption></div><ErrorState error={query.error} retry={query.reload} quiet /></figure>;
  return (
    <Chart title={props.title} times={times} lines={lines} unit={props.unit ?? unit} stacked={props.stacked} threshold={props.threshold}
      height={props.height} loading={query.loading} about={props.about} format={props.format} />
  );
}

/** unitOf is the unit of a line's values: a rate is so much a second. */
function unitOf(line: SeriesLine | undefined): string {
  if (!line) return "";
  if (line.stat !== "rate") return line.unit;
  return line.unit === "micro-USD" ? "micro-USD/s" : "/s";
}

type Chosen = { lines: readonly SeriesQuery[]; by?: string; limit?: number; only?: string; name?: (of: string) => string; tones?: Record<string, Tone> };

function drawn(answer: SeriesAnswer | undefined, props: Chosen): { times: number[]; lines: ChartLine[]; unit: string } {
  const all = answer?.series ?? [];
  const steps = Math.max(0, ...all.map((l) => l.values?.length ?? 0));
  const times = Array.from({ length: steps }, (_, i) => (answer?.from ?? 0) + i * (answer?.step_seconds ?? 1));
  const lines: ChartLine[] = [];
  for (const wanted of props.lines) {
    const found = all.filter((l) => l.query === wanted.q && (!props.only || l.of === props.only));
    const kept = props.by && !props.only ? found.sort((a, b) => weight(b) - weight(a)).slice(0, props.limit ?? 6) : found;
    for (const l of kept) {
      const of = l.of ? (props.name?.(l.of) ?? l.of) : "";
      const label = of && !props.only ? (props.lines.length > 1 ? `${of} ${wanted.label}` : of) : wanted.label;
      lines.push({ label, values: l.values ?? [], tone: (l.of && props.tones?.[l.of]) || wanted.tone, area: wanted.area });
    }
  }
  return { times, lines, unit: unitOf(all[0]) };
}
