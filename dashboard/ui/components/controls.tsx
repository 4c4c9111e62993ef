// Small things that are pressed, chosen, written into or read.

import { cloneElement, type ComponentChildren, type VNode } from "preact";
import { useId, useState } from "preact/hooks";
import { ago, clock, dateTime, hasTime, money, utc } from "../format";
import { setParams, timeWindow, windows } from "../route";
import { mark, type Tone } from "./layout";
import { notify } from "./states";

export function Button(props: {
  kind?: "plain" | "primary" | "danger" | "quiet"; onClick?: (e: MouseEvent) => void; busy?: boolean; disabled?: boolean;
  title?: string; label?: string; pressed?: boolean; submit?: boolean; small?: boolean; children: ComponentChildren;
}) {
  return (
    <button type={props.submit ? "submit" : "button"} class={`button ${props.kind ?? "plain"}${props.small ? " small" : ""}`}
      onClick={props.onClick} disabled={props.disabled || props.busy} title={props.title} aria-label={props.label}
      aria-pressed={props.pressed} aria-busy={props.busy || undefined}>
      {props.busy ? "Working…" : props.children}
    </button>
  );
}

export function Badge(props: { tone?: Tone; title?: string; children: ComponentChildren }) {
  const tone = props.tone ?? "none";
  return (
    <span class={`badge tone-${tone}`} title={props.title}>
      {mark(tone) && <span class="mark" aria-hidden="true">{mark(tone)}</span>}
      {props.children}
    </span>
  );
}

/** Bar shows a share from 0 to 1; what is above is full. */
export function Bar(props: { share: number; tone?: Tone; label: string; marked?: number }) {
  const share = Math.max(0, Math.min(1, props.share || 0));
  return (
    <svg class={`bar tone-${props.tone ?? "info"}`} role="img" aria-label={props.label} viewBox="0 0 100 8" preserveAspectRatio="none">
      <rect class="bar-back" width="100" height="8" rx="2" />
      <rect class="bar-fill" width={100 * share} height="8" rx="2" />
      {props.marked !== undefined && <rect class="bar-mark" x={100 * props.marked - 0.5} width="1" height="8" />}
    </svg>
  );
}

type Option = string | { value: string; label: string };

export function Select(props: {
  label: string; value: string; options: readonly Option[]; onChange: (value: string) => void; hideLabel?: boolean; disabled?: boolean;
}) {
  const id = useId();
  return (
    <span class="select">
      <label for={id} class={props.hideLabel ? "sr" : ""}>{props.label}</label>
      <select id={id} value={props.value} disabled={props.disabled} onChange={(e) => props.onChange(e.currentTarget.value)}>
        {props.options.map((o) => {
          const { value, label } = typeof o === "string" ? { value: o, label: o } : o;
          return <option key={value} value={value} selected={value === props.value}>{label}</option>;
        })}
      </select>
    </span>
  );
}

/** Field is a label above an input (its one child), with a hint and what is wrong below it. */
export function Field(props: { label: string; hint?: ComponentChildren; error?: string; children: VNode }) {
  const id = useId();
  const described = [props.hint && `${id}-hint`, props.error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {cloneElement(props.children, { id, "aria-describedby": described || undefined, "aria-invalid": props.error ? true : undefined })}
      {props.hint && <p class="hint" id={`${id}-hint`}>{props.hint}</p>}
      {props.error && <p class="fault" id={`${id}-error`} role="alert">{props.error}</p>}
    </div>
  );
}

interface TextInputProps {
  label: string; value: string; onInput: (value: string) => void; hint?: ComponentChildren; error?: string;
  type?: "text" | "password" | "search" | "date" | "number"; placeholder?: string; required?: boolean; autofocus?: boolean;
  autocomplete?: string; maxLength?: number; name?: string;
  /** Suggestions; anything else may be written too. */
  list?: readonly string[];
}

export function TextInput(props: TextInputProps) {
  const list = useId();
  const attributes: Record<string, unknown> = {
    type: props.type ?? "text", name: props.name, placeholder: props.placeholder, required: props.required, autofocus: props.autofocus,
    autocomplete: props.autocomplete ?? "off", maxLength: props.maxLength, spellcheck: false, list: props.list ? list : undefined,
  };
  return (
    <>
      <Field label={props.label} hint={props.hint} error={props.error}>
        <input {...attributes} value={props.value} onInput={(e) => props.onInput(e.currentTarget.value)} />
      </Field>
      {props.list && <datalist id={list}>{props.list.map((v) => <option key={v} value={v} />)}</datalist>}
    </>
  );
}

/** TimeRange chooses the time that charts and tables are about. */
export function TimeRange() {
  return (
    <div class="tabs" role="group" aria-label="Time range">
      {windows.map((w) => (
        <button type="button" key={w} aria-pressed={w === timeWindow()} onClick={() => setParams({ window: w === "1h" ? null : w })}>{w}</button>
      ))}
    </div>
  );
}

/** Time shows a time: how long ago, the time of day, or date and time. Its title has both, local and UTC. */
export function Time(props: { at: string | undefined; as?: "ago" | "clock" | "full" }) {
  if (!hasTime(props.at)) return <span class="muted">–</span>;
  const text = props.as === "clock" ? clock(props.at) : props.as === "full" ? dateTime(props.at) : ago(props.at);
  return <time dateTime={props.at} title={`${dateTime(props.at)} local time\n${utc(props.at)}`}>{text}</time>;
}

export function Money(props: { micro: number; rate?: number; currency?: string }) {
  return <span class="num">{money(props.micro, props.rate, props.currency)}</span>;
}

/** Copy shows a text and copies it. */
export function Copy(props: { text: string; label?: string; shown?: string; hideText?: boolean }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(props.text);
      setDone(true);
      setTimeout(() => setDone(false), 1500);
      notify("Copied.");
    } catch {
      notify("The browser does not let this page copy here. Mark the text and copy it by hand.", "warn");
    }
  };
  return (
    <span class="copy">
      {!props.hideText && <code>{props.shown ?? props.text}</code>}
      <button type="button" class="icon-button" onClick={copy} aria-label={`Copy ${props.label ?? props.text}`} title="Copy">
        <Icon name={done ? "check" : "copy"} />
      </button>
    </span>
  );
}

// Drawn for this dashboard on a grid of 16; one stroke, no fill.
const icons = {
  copy: "M5.5 5.5V3a1 1 0 0 1 1-1H13a1 1 0 0 1 1 1v6.5a1 1 0 0 1-1 1h-2.5M3 5.5h6.5a1 1 0 0 1 1 1V13a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V6.5a1 1 0 0 1 1-1Z",
  check: "m3 8.5 3.5 3.5L13 4.5",
  close: "m4 4 8 8m0-8-8 8",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14",
  menu: "M2 4h12M2 8h12M2 12h12",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1m8 8 1 1m0-10-1 1m-8 8-1 1",
  moon: "M13.5 9.5A6 6 0 1 1 6.5 2.5a5 5 0 0 0 7 7Z",
  auto: "M2 3h12v8H2zM6 14h4m-2-3v3",
  up: "m4 10 4-4 4 4",
  down: "m4 6 4 4 4-4",
  right: "m6 4 4 4-4 4",
  table: "M2 3h12v10H2zM2 6.5h12M2 10h12M6.5 3v10",
  chart: "M2 2v12h12M5 10l3-3 2 2 4-5",
  help: "M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM6 6.2a2 2 0 1 1 2.8 1.9c-.6.3-.8.6-.8 1.3M8 11.5v.300",
  exit: "M6 14H3a1 1 0 0 1-1-1V3a1 1 0 0 1 1-1h3m4 9 3-3-3-3m3 3H6",
  download: "M8 2v8m-3-3 3 3 3-3M2 13.5h12",
} as const;

export function Icon(props: { name: keyof typeof icons }) {
  return <svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d={icons[props.name]} /></svg>;
}
