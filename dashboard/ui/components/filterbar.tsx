// The search of a list: "op:analysis status:error latency:>3s". What is chosen stands in the URL, under the API's names.

import { useId, useRef, useState } from "preact/hooks";
import { param, setParams } from "../route";
import { Icon } from "./controls";

export interface FilterKey {
  /** What people type. */
  key: string;
  /** The parameter of the API and of the URL. */
  param: string;
  about: string;
  /** What may stand there, where that is a known set. */
  values?: readonly string[];
  /** Turns what was typed into the parameter's value; default: without a ">" before it. */
  read?: (typed: string) => string;
  example?: string;
}

interface Choice { text: string; about: string; done: boolean }

/** suggestions are what the last word may become. */
function suggestions(word: string, keys: readonly FilterKey[]): Choice[] {
  const colon = word.indexOf(":");
  if (colon < 0) {
    return keys.filter((k) => k.key.startsWith(word.toLowerCase())).map((k) => ({ text: `${k.key}:`, about: k.about, done: false }));
  }
  const key = keys.find((k) => k.key === word.slice(0, colon).toLowerCase());
  const begun = word.slice(colon + 1).toLowerCase();
  return (key?.values ?? []).filter((v) => v.toLowerCase().includes(begun) && v.toLowerCase() !== begun).slice(0, 12)
    .map((v) => ({ text: `${key?.key}:${v}`, about: "", done: true }));
}

/** read turns words into parameters, or says which word means nothing. */
function read(text: string, keys: readonly FilterKey[], bare: string): { found: Record<string, string>; fault: string } {
  const found: Record<string, string> = {};
  for (const word of text.match(/(?:[^\s"]+|"[^"]*")+/g) ?? []) {
    const colon = word.indexOf(":");
    const key = colon > 0 ? keys.find((k) => k.key === word.slice(0, colon).toLowerCase()) : undefined;
    const typed = (key ? word.slice(colon + 1) : word).replaceAll('"', "");
    if (key && typed) found[key.param] = key.read ? key.read(typed) : typed.replace(/^>=?/, "");
    else if (colon > 0 || !bare) return { found, fault: `“${word}” is no filter. There are: ${keys.map((k) => k.key + ":").join(" ")}` };
    else found[bare] = typed;
  }
  return { found, fault: "" };
}

export function FilterBar(props: {
  keys: readonly FilterKey[]; label?: string; placeholder?: string;
  /** The parameter of a word without a key. */
  bare?: string;
}) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const [fault, setFault] = useState("");
  const chosen = props.keys.map((k) => ({ ...k, value: param(k.param) })).filter((k) => k.value !== "");
  const start = text.lastIndexOf(" ") + 1;
  const found = open ? suggestions(text.slice(start), props.keys.filter((k) => !chosen.some((c) => c.param === k.param))) : [];

  const apply = (value: string) => {
    const result = read(value, props.keys, props.bare ?? "");
    setFault(result.fault);
    if (result.fault) return;
    setText("");
    setAt(-1);
    setOpen(false);
    if (Object.keys(result.found).length > 0) setParams({ ...result.found, before: null }, true);
  };
  const take = (c: Choice) => {
    const next = text.slice(0, start) + c.text;
    setAt(-1);
    if (c.done) apply(next);
    else setText(next);
    input.current?.focus();
  };
  const enter = () => {
    // "status:err" means the value that begins so, where one does and none is exactly that.
    const word = text.slice(start);
    const [key, begun] = [word.slice(0, word.indexOf(":")), word.slice(word.indexOf(":") + 1).toLowerCase()];
    const known = word.includes(":") ? props.keys.find((k) => k.key === key)?.values : undefined;
    const meant = begun && !known?.some((v) => v.toLowerCase() === begun) ? known?.find((v) => v.toLowerCase().startsWith(begun)) : undefined;
    apply(meant ? `${text.slice(0, start)}${key}:${meant}` : text);
  };
  const edit = () => {
    const last = chosen[chosen.length - 1];
    if (!last) return;
    setText(`${last.key}:${last.value}`);
    setParams({ [last.param]: null, before: null });
  };
  const key = (e: KeyboardEvent) => {
    const pick = found[at];
    if (e.key === "ArrowDown" && !open) setOpen(true);
    else if (e.key === "ArrowDown" && found.length > 0) setAt((at + 1) % found.length);
    else if (e.key === "ArrowUp" && found.length > 0) setAt((at <= 0 ? found.length : at) - 1);
    else if (e.key === "Enter") pick ? take(pick) : enter();
    else if (e.key === "Tab" && pick) take(pick);
    else if (e.key === "Escape" && (open || text)) { setOpen(false); setText(""); setFault(""); }
    else if (e.key === "Backspace" && text === "") edit();
    else return;
    e.preventDefault();
  };

  return (
    <div class="filter" role="search">
      <div class="filter-line">
        <Icon name="search" />
        {chosen.map((c) => (
          <span class="chip" key={c.param}>
            {c.key}:{c.value}
            <button type="button" aria-label={`Remove the filter ${c.key}:${c.value}`} onClick={() => { setParams({ [c.param]: null, before: null }); input.current?.focus(); }}>✕</button>
          </span>
        ))}
        <input ref={input} data-search type="text" role="combobox" aria-label={props.label ?? "Filter"} aria-expanded={found.length > 0} aria-controls={`${id}-list`}
          aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined} aria-autocomplete="list" aria-describedby={fault ? `${id}-fault` : undefined}
          autocomplete="off" spellcheck={false} value={text} placeholder={chosen.length === 0 ? (props.placeholder ?? "Filter") : ""}
          onInput={(e) => { setText(e.currentTarget.value); setOpen(true); setAt(-1); setFault(""); }}
          onFocus={() => setOpen(true)} onBlur={() => setTimeout(() => setOpen(false), 150)} onKeyDown={key} />
        {chosen.length > 0 && <button type="button" class="button quiet small" onClick={() => setParams({ ...Object.fromEntries(chosen.map((c) => [c.param, null])), before: null })}>Clear</button>}
      </div>
      <ul id={`${id}-list`} class="choices" role="listbox" aria-label="Suggestions" hidden={found.length === 0}>
        {found.map((c, i) => (
          <li key={c.text} id={`${id}-${i}`} role="option" aria-selected={i === at} onMouseDown={(e) => { e.preventDefault(); take(c); }}>
            <code>{c.text}</code> {c.about && <span class="muted">{c.about}</span>}
          </li>
        ))}
      </ul>
      {fault && <p class="fault" id={`${id}-fault`} role="alert">{fault}</p>}
    </div>
  );
}
