// The frame of a page: heading, cards, figures.

import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { liveState, paused } from "../live";
import { Button, TimeRange } from "./controls";
import { Sparkline } from "./svg";

/** Tone is what a colour means. It never stands alone: a mark or a word says the same. */
export type Tone = "ok" | "warn" | "bad" | "info" | "none";

const liveWords = { open: "Live", connecting: "Connecting", lost: "Connection lost", paused: "Paused" } as const;

/** LiveButton pauses everything that moves by itself. */
function LiveButton() {
  const state = liveState.value;
  return (
    <Button kind="quiet" pressed={paused.value} onClick={() => { paused.value = !paused.peek(); }}
      title={paused.value ? "Let figures move again" : "Keep everything as it is"}>
      <span class={`live live-${state}`} aria-hidden="true" />
      <span class="live-word">{liveWords[state]}</span>
      <span class="sr">{paused.value ? ", go on" : ", pause"}</span>
    </Button>
  );
}

export function Page(props: {
  title: string; about?: ComponentChildren; range?: boolean; live?: boolean; actions?: ComponentChildren; children: ComponentChildren;
}) {
  useEffect(() => { document.title = `${props.title} · Forebay`; }, [props.title]);
  return (
    <>
      <header class="page-head">
        <div>
          <h1 tabIndex={-1}>{props.title}</h1>
          {props.about && <p class="about">{props.about}</p>}
        </div>
        <div class="page-tools">
          {props.actions}
          {props.range && <TimeRange />}
          {props.live && <LiveButton />}
        </div>
      </header>
      {props.children}
    </>
  );
}

/** Card is a part of a page. It is no landmark: its heading and the tables' own names are enough to find one's way. */
export function Card(props: {
  title?: string; about?: ComponentChildren; actions?: ComponentChildren; wide?: boolean; id?: string; flush?: boolean; children: ComponentChildren;
}) {
  return (
    <section class={`card${props.wide ? " wide" : ""}${props.flush ? " flush" : ""}`} id={props.id}>
      {(props.title || props.actions) && (
        <div class="card-head">
          {props.title && <h2>{props.title}</h2>}
          {props.actions && <div class="card-tools">{props.actions}</div>}
        </div>
      )}
      {props.about && <p class="card-about">{props.about}</p>}
      {props.children}
    </section>
  );
}

export function Grid(props: { columns?: 2 | 3 | 4; children: ComponentChildren }) {
  return <div class={`grid grid-${props.columns ?? 2}`}>{props.children}</div>;
}

const marks: Record<Tone, string> = { ok: "●", warn: "▲", bad: "■", info: "◆", none: "" };

/** mark is the sign that says the same as a tone's colour. */
export function mark(tone: Tone): string {
  return marks[tone];
}

export function Stat(props: {
  label: string; value: ComponentChildren; note?: ComponentChildren; tone?: Tone; href?: string; spark?: readonly (number | null)[]; title?: string;
}) {
  const tone = props.tone ?? "none";
  const body = (
    <>
      <span class="stat-label">{props.label}</span>
      <span class={`stat-value tone-${tone}`}>
        {mark(tone) && tone !== "ok" && <span class="mark" aria-hidden="true">{mark(tone)} </span>}{props.value}
      </span>
      {props.note !== undefined && <span class="stat-note">{props.note}</span>}
      {props.spark && <Sparkline values={props.spark} />}
    </>
  );
  return props.href
    ? <a class="stat" href={props.href} title={props.title}>{body}</a>
    : <div class="stat" title={props.title}>{body}</div>;
}

export function Tabs<T extends string>(props: {
  label: string; value: T; options: readonly (T | { value: T; label: string })[]; onChange: (value: T) => void;
}) {
  return (
    <div class="tabs" role="group" aria-label={props.label}>
      {props.options.map((o) => {
        const { value, label } = typeof o === "string" ? { value: o, label: o } : o;
        return (
          <button type="button" key={value} aria-pressed={value === props.value} onClick={() => props.onChange(value)}>{label}</button>
        );
      })}
    </div>
  );
}

/** KeyValues lists names with their values. Empty values are left out. */
export function KeyValues(props: { items: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="kv">
      {props.items.filter(([, v]) => v !== undefined && v !== null && v !== "" && v !== false).map(([name, value]) => (
        <div key={name}><dt>{name}</dt><dd>{value}</dd></div>
      ))}
    </dl>
  );
}
