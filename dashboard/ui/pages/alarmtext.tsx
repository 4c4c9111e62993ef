// Alarms in words.

import { Badge } from "../components";
import { count, nanos, percent, seconds } from "../format";
import type { AlarmEntry, AlarmState } from "../types";

/** worst is the worst state of an alarm's values. */
export function worst(a: AlarmEntry): AlarmState {
  const states = (a.states ?? []).map((s) => s.state);
  return states.includes("firing") ? "firing" : states.includes("ok") ? "ok" : "no_data";
}

/** StateOfAlarm is an alarm's state as a badge. */
export function StateOfAlarm({ alarm: a }: { alarm: AlarmEntry }) {
  if (a.off) return <Badge tone="none">off</Badge>;
  if (a.external) return <Badge tone="none">elsewhere</Badge>;
  const firing = (a.states ?? []).filter((s) => s.state === "firing");
  if (firing.length > 0) {
    const silent = firing.every((s) => s.silenced);
    return <Badge tone={silent ? "info" : a.severity === "critical" ? "bad" : "warn"}>{silent ? "silenced" : firing.length > 1 ? `firing × ${count(firing.length)}` : "firing"}</Badge>;
  }
  return worst(a) === "ok" ? <Badge tone="ok">ok</Badge> : <Badge tone="none">no data</Badge>;
}

/** subject names an alarm and the value of its label. */
export function subject(s: { name: string; of?: string }): string {
  return s.of ? `${s.name}: ${s.of}` : s.name;
}

/** shown is a value in the alarm's unit. */
export function shown(v: number, a: AlarmEntry): string {
  const unit = a.unit ?? "";
  if (unit === "s" || unit === "seconds") return seconds(v);
  if (unit === "%" || (unit === "" && a.over)) return percent(v);
  const plain = Number.isInteger(v) ? count(v) : String(Number(v.toPrecision(3)));
  if (unit === "USD") return `$${plain}`;
  return unit ? `${plain} ${unit}` : plain;
}

/** span is a window in words: "5 min". */
export function span(ns: number): string {
  const minutes = ns / 60e9;
  if (minutes >= 1440 && minutes % 1440 === 0) return minutes === 1440 ? "a day" : `${minutes / 1440} days`;
  if (minutes >= 60 && minutes % 60 === 0) return minutes === 60 ? "an hour" : `${minutes / 60} hours`;
  return minutes >= 1 && Number.isInteger(minutes) ? `${minutes} min` : nanos(ns);
}

/** condition says when an alarm fires. */
export function condition(a: AlarmEntry): string {
  const what = a.over ? `${a.metric} per ${a.over}` : `${a.stat} of ${a.metric}`;
  const by = a.by ? `, each ${a.by} by itself` : "";
  const burn = a.burn ?? [];
  if (burn.length > 0) {
    const pairs = burn.map((b) => `${b.factor === 1 ? "once" : `${b.factor} times`} in ${span(b.long_ns)} and ${span(b.short_ns)}`).join(", or ");
    return `${what} burns the budget of ${shown(a.threshold, a)} too fast: ${pairs}${by}`;
  }
  const often = (a.n ?? 1) > 1 ? `, ${a.m ?? 1} of ${a.n} times` : "";
  return `${what} ${a.op} ${shown(a.threshold, a)} over ${span(a.window_ns)}${often}${by}`;
}
