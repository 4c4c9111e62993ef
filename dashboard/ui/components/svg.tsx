// Drawings as inline SVG, which a screen reader can read.

import { clock, dateTime, nanos, seconds, words } from "../format";
import { mark, type Tone } from "./layout";

/** Sparkline is a line without axes. Screen readers skip it: the figure beside it says what counts. */
export function Sparkline(props: { values: readonly (number | null)[]; label?: string }) {
  const width = 96;
  const height = 24;
  const known = props.values.filter((v): v is number => v !== null);
  if (known.length < 2) return null;
  const top = Math.max(...known) || 1;
  const step = width / Math.max(props.values.length - 1, 1);
  let path = "";
  let pen = "M";
  props.values.forEach((v, i) => {
    if (v === null) {
      pen = "M";
      return;
    }
    path += `${pen}${(i * step).toFixed(1)} ${(height - 2 - (v / top) * (height - 4)).toFixed(1)}`;
    pen = "L";
  });
  return (
    <svg class="spark" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role={props.label ? "img" : undefined}
      aria-label={props.label} aria-hidden={props.label ? undefined : "true"}>
      <path d={path} vector-effect="non-scaling-stroke" />
    </svg>
  );
}

export interface TimelineRow {
  name: string;
  spans: readonly { from: number; to: number; state: string; note?: string }[];
}

const stateTones: Record<string, Tone> = {
  closed: "ok", ok: "ok", healthy: "ok", half_open: "warn", degraded: "warn", warning: "warn", no_data: "none",
  open: "bad", firing: "bad", unhealthy: "bad", critical: "bad", forced: "info", silenced: "info",
};

/** toneOf is the tone of a state's name. */
export function toneOf(state: string): Tone {
  return stateTones[state] ?? "none";
}

/** StateTimeline shows which state things were in, over time. Each row's text says the same in words. */
export function StateTimeline(props: { label: string; from: number; to: number; rows: readonly TimelineRow[] }) {
  const length = Math.max(props.to - props.from, 1);
  const at = (t: number) => (100 * (Math.min(Math.max(t, props.from), props.to) - props.from)) / length;
  const states = [...new Set(props.rows.flatMap((r) => r.spans.map((s) => s.state)))];
  return (
    <figure class="timeline" aria-label={props.label}>
      {props.rows.map((row) => (
        <div class="timeline-row" key={row.name}>
          <span class="timeline-name" title={row.name}>{row.name}</span>
          <svg viewBox="0 0 100 16" preserveAspectRatio="none" role="img" aria-label={`${row.name}: ${inWords(row, props.from, props.to)}`}>
            {row.spans.map((s, i) => (
              <g key={i} class={`state tone-${toneOf(s.state)}`}>
                <title>{`${words(s.state)}, ${dateTime(s.from)} to ${clock(s.to)} (${seconds((s.to - s.from) / 1000)})${s.note ? `: ${s.note}` : ""}`}</title>
                <rect x={at(s.from)} width={Math.max(at(s.to) - at(s.from), 0.3)} y={toneOf(s.state) === "ok" ? 4 : 0} height={toneOf(s.state) === "ok" ? 8 : 16} />
              </g>
            ))}
          </svg>
        </div>
      ))}
      <figcaption class="timeline-foot">
        <span>{length > 86_400_000 ? dateTime(props.from) : clock(props.from)}</span>
        <span class="legend">
          {states.map((s) => <span key={s} class={`legend-item tone-${toneOf(s)}`}><span class="mark" aria-hidden="true">{mark(toneOf(s)) || "○"}</span> {words(s)}</span>)}
        </span>
        <span>{length > 86_400_000 ? dateTime(props.to) : clock(props.to)}</span>
      </figcaption>
    </figure>
  );
}

function inWords(row: TimelineRow, from: number, to: number): string {
  const sums = new Map<string, number>();
  for (const s of row.spans) {
    const length = Math.max(0, Math.min(s.to, to) - Math.max(s.from, from));
    sums.set(s.state, (sums.get(s.state) ?? 0) + length);
  }
  const last = row.spans[row.spans.length - 1];
  const parts = [...sums].map(([state, ms]) => `${words(state)} for ${seconds(ms / 1000)}`);
  return `${last ? `now ${words(last.state)}; ` : ""}${parts.join(", ") || "nothing is known"}.`;
}

export interface Span {
  name: string;
  /** Nanoseconds from the beginning. */
  start: number;
  duration: number;
  tone?: Tone;
  note?: string;
  /** Inner spans are part of the one before. */
  inner?: boolean;
}

/** Waterfall shows where the time of one call went: a list, each item with its bar. */
export function Waterfall(props: { label: string; total: number; spans: readonly Span[] }) {
  const total = Math.max(props.total, ...props.spans.map((s) => s.start + s.duration), 1);
  return (
    <ol class="waterfall" aria-label={props.label}>
      {props.spans.map((s, i) => {
        const left = (100 * s.start) / total;
        const width = Math.max((100 * s.duration) / total, 0.4);
        return (
          <li key={i} class={s.inner ? "inner" : ""}>
            <span class="waterfall-name">{s.name}</span>
            <svg viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true" class={`tone-${s.tone ?? "info"}`}>
              <rect class="waterfall-back" width="100" height="16" />
              <rect class="waterfall-bar" x={Math.min(left, 99.6)} width={Math.min(width, 100 - Math.min(left, 99.6))} y="3" height="10" />
            </svg>
            <span class="waterfall-time num">{nanos(s.duration)}<span class="sr"> from {nanos(s.start)} on</span></span>
            {s.note && <span class="waterfall-note">{s.note}</span>}
          </li>
        );
      })}
      <li class="waterfall-scale" aria-hidden="true"><span /><span class="scale"><span>0</span><span>{nanos(total / 2)}</span><span>{nanos(total)}</span></span><span /></li>
    </ol>
  );
}
