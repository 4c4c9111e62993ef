// Charts over time: uPlot's canvas for eyes, a summary in words and a table for everyone.

import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { clock, dateTime, unitFormat } from "../format";
import { colour, theme } from "../theme";
import { Icon } from "./controls";
import type { Tone } from "./layout";

export interface ChartLine {
  label: string;
  values: readonly (number | null)[];
  tone?: Tone;
  area?: boolean;
}

export interface ChartProps {
  title: string;
  /** Unix seconds, one for each value. */
  times: readonly number[];
  lines: readonly ChartLine[];
  unit?: string;
  /** How values are written; what was not measured is "–". */
  format?: (v: number) => string;
  height?: number;
  stacked?: boolean;
  threshold?: { value: number; label: string };
  summary?: string;
  loading?: boolean;
  about?: string;
}

// Each line has a dash of its own besides its colour.
const dashes: number[][] = [[], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4], [4, 2, 1, 2]];

function stroke(line: ChartLine, i: number): string {
  const tones: Partial<Record<Tone, string>> = { ok: "ok-line", warn: "warn-line", bad: "bad-line", none: "muted" };
  return colour((line.tone && tones[line.tone]) || `line-${(i % 6) + 1}`);
}

/** stack adds each line to those below it. */
function stack(lines: readonly ChartLine[]): (number | null)[][] {
  const sums: number[] = [];
  return lines.map((line) => line.values.map((v, i) => {
    if (v === null && sums[i] === undefined) return null;
    return (sums[i] = (sums[i] ?? 0) + (v ?? 0));
  }));
}

function axisTime(span: number) {
  return (_: uPlot, splits: number[]) => splits.map((t) => {
    const d = new Date(t * 1000);
    const midnight = d.getHours() === 0 && d.getMinutes() === 0;
    if (span > 3 * 86400 || (midnight && span > 7200)) return dateTime(d).slice(5, 10);
    return span <= 600 ? clock(d) : clock(d).slice(0, 5);
  });
}

/** bare drops zeros behind the point that say nothing: "2.50 s" becomes "2.5 s". */
function bare(text: string): string {
  return text.replace(/(\.\d*?)0+(?!\d)/, "$1").replace(/\.(?!\d)/, "");
}

function withAlpha(c: string, share: number): string {
  return `color-mix(in srgb, ${c} ${share}%, transparent)`;
}

interface Drawing { props: ChartProps; format: (v: number | null) => string; width: number; onCursor: (i: number | null) => void }

/** options describes the chart to uPlot. One straight list on purpose: it is data. */
function options({ props, format, width, onCursor }: Drawing): uPlot.Options {
  const grid = colour("grid");
  const text = colour("muted");
  const font = `11px ${colour("font") || "system-ui"}`;
  const span = (props.times[props.times.length - 1] ?? 0) - (props.times[0] ?? 0);
  return {
    width, height: props.height ?? 200,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, sync: { key: "time" }, points: { size: 6 }, y: false },
    padding: [8, 18, 0, 0], // half of the last time stands right of the data
    scales: {
      x: { time: true },
      y: { range: (_u, _min, max) => [0, limitOf(max, props.threshold?.value)] },
    },
    axes: [
      { stroke: text, font, grid: { show: false }, ticks: { stroke: grid, width: 1, size: 4 }, values: axisTime(span), size: 28, space: 64 },
      { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { show: false }, values: (_u, splits) => splits.map((v) => bare(format(v))), size: 64, space: 36 },
    ],
    series: [{}, ...props.lines.map((line, i): uPlot.Series => {
      const c = stroke(line, i);
      return {
        label: line.label, stroke: c, width: 1.5, dash: props.stacked ? [] : dashes[i % dashes.length],
        fill: props.stacked ? withAlpha(c, 45) : line.area ? withAlpha(c, 12) : undefined,
        points: { show: false }, spanGaps: false,
      };
    })],
    bands: props.stacked ? props.lines.slice(1).map((line, i) => ({ series: [i + 2, i + 1] as [number, number], fill: withAlpha(stroke(line, i + 1), 45) })) : [],
    hooks: {
      draw: [(u) => drawThreshold(u, props.threshold)],
      setCursor: [(u) => onCursor(u.cursor.idx ?? null)],
    },
  };
}

/** limitOf is the top of the scale: room above the data, and the threshold where the data comes near it. */
function limitOf(max: number | null, threshold?: number): number {
  const top = max && max > 0 ? max * 1.1 : 1;
  return threshold !== undefined && max && max > threshold * 0.4 ? Math.max(top, threshold * 1.1) : top;
}

function drawThreshold(u: uPlot, threshold?: { value: number }): void {
  if (!threshold || threshold.value > (u.scales["y"]?.max ?? 0)) return;
  const y = Math.round(u.valToPos(threshold.value, "y", true));
  const { ctx } = u;
  ctx.save();
  ctx.strokeStyle = colour("bad-line");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(u.bbox.left, y);
  ctx.lineTo(u.bbox.left + u.bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

/** summarise says in words what a chart shows. */
function summarise(props: ChartProps, format: (v: number | null) => string): string {
  const parts = props.lines.map((line) => {
    const known = line.values.filter((v): v is number => v !== null);
    if (known.length === 0) return `${line.label}: nothing was measured`;
    return `${line.label}: ${format(known[known.length - 1] ?? null)} at the end, from ${format(Math.min(...known))} to ${format(Math.max(...known))}`;
  });
  if (props.threshold) parts.push(`${props.threshold.label}: ${format(props.threshold.value)}`);
  const [first, last] = [props.times[0], props.times[props.times.length - 1]];
  const range = first && last ? `From ${dateTime(first * 1000)} to ${dateTime(last * 1000)}. ` : "";
  return range + parts.join(". ") + ".";
}

export function Chart(props: ChartProps) {
  const id = useId();
  const [asTable, setAsTable] = useState(false);
  const [cursor, setCursor] = useState<number | null>(null);
  const write = props.format ?? unitFormat(props.unit ?? "");
  const format = (v: number | null) => (v === null ? "–" : write(v));
  const empty = props.lines.every((l) => l.values.every((v) => v === null));
  const summary = useMemo(() => props.summary ?? summarise(props, format), [props.times, props.lines]);
  return (
    <figure class="chart" aria-labelledby={`${id}-title`}>
      <div class="chart-head">
        <figcaption id={`${id}-title`} title={props.about}>{props.title}</figcaption>
        <button type="button" class="icon-button" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}
          aria-label={`${props.title} as a table`} title={asTable ? "Show the chart" : "Show the numbers"}>
          <Icon name={asTable ? "chart" : "table"} />
        </button>
      </div>
      <p class="sr" id={`${id}-summary`}>{summary}</p>
      {asTable
        ? <Numbers props={props} format={format} />
        : empty
          ? <p class="chart-empty" style={{ height: `${props.height ?? 200}px` }}>{props.loading ? "Loading…" : "Nothing was measured in this time."}</p>
          : <Canvas props={props} format={format} id={id} onCursor={setCursor} />}
      {!asTable && <Legend props={props} format={format} cursor={cursor} />}
    </figure>
  );
}

function Canvas({ props, format, id, onCursor }: { props: ChartProps; format: (v: number | null) => string; id: string; onCursor: (i: number | null) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const data = useMemo(() => [props.times, ...(props.stacked ? stack(props.lines) : props.lines.map((l) => l.values))] as unknown as uPlot.AlignedData, [props.times, props.lines, props.stacked]);
  const span = (props.times[props.times.length - 1] ?? 0) - (props.times[0] ?? 0);
  // The chart is made anew when its shape changes; new data alone is handed to it.
  const shape = JSON.stringify([props.lines.map((l) => [l.label, l.tone, l.area]), props.stacked, props.unit, props.height, props.threshold, theme.value, span]);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const u = new uPlot(options({ props: latest.current, format, width: el.clientWidth || 300, onCursor }), data, el);
    plot.current = u;
    const watch = new ResizeObserver(() => {
      if (el.clientWidth > 0 && el.clientWidth !== u.width) u.setSize({ width: el.clientWidth, height: u.height });
    });
    watch.observe(el);
    return () => {
      watch.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => { plot.current?.setData(data); }, [data]);
  return <div class="chart-canvas" ref={box} role="img" aria-label={props.title} aria-describedby={`${id}-summary`} style={{ minHeight: `${props.height ?? 200}px` }} />;
}

function Legend({ props, format, cursor }: { props: ChartProps; format: (v: number | null) => string; cursor: number | null }) {
  const at = cursor ?? lastKnown(props.lines);
  const time = props.times[at];
  return (
    <div class="legend" aria-hidden="true">
      {props.lines.map((line, i) => (
        <span class="legend-item" key={line.label}>
          <svg class={`swatch${props.stacked ? " filled" : ""}`} viewBox="0 0 20 8"><line x1="0" y1="4" x2="20" y2="4" class={line.tone ? `stroke-${line.tone}` : `stroke-${(i % 6) + 1}`} stroke-dasharray={props.stacked ? undefined : dashes[i % dashes.length]?.join(" ")} /></svg>
          {line.label} <span class="num legend-value">{format(line.values[at] ?? null)}</span>
        </span>
      ))}
      {props.threshold && (
        <span class="legend-item">
          <svg class="swatch" viewBox="0 0 20 8"><line x1="0" y1="4" x2="20" y2="4" class="stroke-bad" stroke-dasharray="4 4" /></svg>
          {props.threshold.label} <span class="num legend-value">{format(props.threshold.value)}</span>
        </span>
      )}
      {cursor !== null && time !== undefined && <span class="legend-time num">{clock(time * 1000)}</span>}
    </div>
  );
}

function lastKnown(lines: readonly ChartLine[]): number {
  let at = 0;
  for (const line of lines) for (let i = line.values.length - 1; i > at; i--) if (line.values[i] !== null) at = i;
  return at;
}

function Numbers({ props, format }: { props: ChartProps; format: (v: number | null) => string }) {
  return (
    <div class="table-box" tabIndex={0} role="group" aria-label={`${props.title}, numbers`} style={{ height: `${(props.height ?? 200) + 24}px` }}>
      <table>
        <caption class="sr">{props.title}</caption>
        <thead><tr><th scope="col">Time</th>{props.lines.map((l) => <th scope="col" class="end" key={l.label}>{l.label}</th>)}</tr></thead>
        <tbody>
          {props.times.map((t, i) => [t, i] as const).reverse().map(([t, i]) => (
            <tr key={t}><th scope="row">{dateTime(t * 1000)}</th>{props.lines.map((l) => <td class="end num" key={l.label}>{format(l.values[i] ?? null)}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
