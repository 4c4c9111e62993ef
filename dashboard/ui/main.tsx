// The shell: who is asking, navigation, keys, and which page is shown.

import { render, type ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { expired, loadSession, logout, session, ApiError } from "./api";
import { Dialog, ErrorState, Icon, Notices, notify } from "./components";
import { stepRow } from "./components/table";
import { startLive, paused, totals } from "./live";
import { go, href, pageNames, param, route, type PageName } from "./route";
import { choice, type Choice } from "./theme";
import Alarms from "./pages/alarms";
import Cache from "./pages/cache";
import Configuration from "./pages/configuration";
import Cost from "./pages/cost";
import Login from "./pages/login";
import Operations from "./pages/operations";
import Overview from "./pages/overview";
import Queue from "./pages/queue";
import Reliability from "./pages/reliability";
import RequestPage from "./pages/request";
import Requests from "./pages/requests";

const pages: Record<PageName, ComponentType> = {
  overview: Overview, operations: Operations, requests: Requests, request: RequestPage, cache: Cache, queue: Queue,
  reliability: Reliability, alarms: Alarms, cost: Cost, configuration: Configuration,
};

/** keys open pages after g. */
const keys: Record<string, PageName> = {
  o: "overview", p: "operations", r: "requests", c: "cache", q: "queue", b: "reliability", a: "alarms", s: "cost", f: "configuration",
};

const title = (name: PageName) => name.charAt(0).toUpperCase() + name.slice(1);

function Navigation(props: { onHelp: () => void }) {
  const [open, setOpen] = useState(false);
  const here = route.value.page === "request" ? "requests" : route.value.page;
  const firing = totals.value?.firing ?? 0;
  const range = param("window"); // the range goes along from page to page
  useEffect(() => setOpen(false), [route.value]);
  return (
    <header class={`side${open ? " open" : ""}`}>
      <div class="side-head">
        <a class="brand" href={href("overview", { window: range })}><Logo /> Forebay</a>
        <button type="button" class="icon-button menu-button" aria-expanded={open} aria-controls="menu" aria-label="Menu" onClick={() => setOpen(!open)}><Icon name="menu" /></button>
      </div>
      <div id="menu" class="menu">
        <nav aria-label="Pages">
          <ul>
            {pageNames.filter((p) => p !== "request").map((p) => (
              <li key={p}>
                <a href={href(p, { window: range })} aria-current={p === here ? "page" : undefined}>
                  {title(p)}
                  {p === "alarms" && firing > 0 && <span class="nav-count">{firing}<span class="sr"> firing</span></span>}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <Footer onHelp={props.onHelp} />
      </div>
    </header>
  );
}

const themes: Record<Choice, { next: Choice; icon: "auto" | "sun" | "moon"; text: string }> = {
  system: { next: "light", icon: "auto", text: "Theme: as the system" },
  light: { next: "dark", icon: "sun", text: "Theme: light" },
  dark: { next: "system", icon: "moon", text: "Theme: dark" },
};

function Footer(props: { onHelp: () => void }) {
  const s = session.value;
  const t = themes[choice.value];
  return (
    <div class="side-foot">
      <div class="side-tools">
        <button type="button" class="icon-button" aria-label={t.text} title={t.text} onClick={() => { choice.value = t.next; }}><Icon name={t.icon} /></button>
        <button type="button" class="icon-button" aria-label="Keyboard help" title="Keyboard help (?)" onClick={props.onHelp}><Icon name="help" /></button>
        {s && !s.open && (
          <button type="button" class="icon-button" aria-label="Log out" title="Log out" onClick={() => { logout().catch((e: Error) => notify(`Not logged out: ${e.message}`, "bad")); }}><Icon name="exit" /></button>
        )}
      </div>
      {s && <p class="who" title={`scopes: ${(s.scopes ?? []).join(", ")}`}>{s.open ? "open gateway" : s.key}{s.read_only && ", read-only"}</p>}
    </div>
  );
}

function Logo() {
  return <svg class="logo" viewBox="0 0 16 16" aria-hidden="true"><path d="M1.5 5.5c2 0 2-2 4-2s2 2 4 2 2-2 4-2M1.5 9.5c2 0 2-2 4-2s2 2 4 2 2-2 4-2M1.5 13.5c2 0 2-2 4-2s2 2 4 2 2-2 4-2" /></svg>;
}

const stored = "forebay-keys";

function keysWanted(): boolean {
  try {
    return localStorage.getItem(stored) !== "off";
  } catch {
    return true;
  }
}

function Help(props: { open: boolean; onClose: () => void; on: boolean; onChange: (on: boolean) => void }) {
  const rows: [string, string][] = [
    ["/", "search"], ["j  k", "next and previous row; Enter opens it"], ["p", "pause and go on"], ["?", "this help"], ["Esc", "close"],
    ...Object.entries(keys).map(([k, page]): [string, string] => [`g ${k}`, title(page)]),
  ];
  return (
    <Dialog title="Keyboard" open={props.open} onClose={props.onClose}>
      <table class="keys">
        <caption class="sr">Keys</caption>
        <tbody>{rows.map(([k, what]) => <tr key={k}><th scope="row"><kbd>{k}</kbd></th><td>{what}</td></tr>)}</tbody>
      </table>
      <label class="check"><input type="checkbox" checked={props.on} onChange={(e) => props.onChange(e.currentTarget.checked)} /> Single keys do these things</label>
    </Dialog>
  );
}

/** useKeys listens to single keys, where nothing is being written. */
function useKeys(on: boolean, help: () => void): void {
  const g = useRef(0);
  useEffect(() => {
    if (!on) return;
    const down = (e: KeyboardEvent) => {
      const el = e.target as HTMLElement;
      if (e.ctrlKey || e.metaKey || e.altKey || el.closest("input, textarea, select, dialog[open]") || document.querySelector("dialog[open]")) return;
      const page = keys[e.key];
      if (Date.now() - g.current < 1200 && page) go(page, { window: param("window") });
      else if (e.key === "/") document.querySelector<HTMLElement>("[data-search]")?.focus();
      else if (e.key === "j" || e.key === "k") stepRow(e.key === "j" ? 1 : -1);
      else if (e.key === "p") paused.value = !paused.peek();
      else if (e.key === "?") help();
      else {
        g.current = e.key === "g" ? Date.now() : 0;
        return;
      }
      g.current = 0;
      e.preventDefault();
    };
    document.addEventListener("keydown", down);
    return () => document.removeEventListener("keydown", down);
  }, [on]);
}

function App() {
  const [error, setError] = useState<ApiError | null>(null);
  const [help, setHelp] = useState(false);
  const [on, setOn] = useState(keysWanted);
  const main = useRef<HTMLElement>(null);
  const page = route.value.page;
  const begin = () => {
    setError(null);
    loadSession().catch((e: unknown) => { if (!(e instanceof ApiError && e.status === 401)) setError(e instanceof ApiError ? e : ApiError.unreachable(e)); });
  };
  useEffect(begin, []);
  useKeys(on && session.value !== null, () => setHelp(true));
  const first = useRef(true);
  useEffect(() => {
    // A page that was opened begins at its top, and a screen reader there.
    if (!first.current) main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
    first.current = false;
    window.scrollTo(0, 0);
  }, [page, route.value.id]);

  if (expired.value) return <><Login /><Notices /></>;
  if (error) return <main class="alone"><h1>Forebay</h1><ErrorState error={error} retry={begin} /></main>;
  if (!session.value) return <main class="alone" aria-busy="true"><p class="muted">Loading…</p></main>;
  const Shown = pages[page];
  const change = (wanted: boolean) => {
    setOn(wanted);
    try {
      if (wanted) localStorage.removeItem(stored);
      else localStorage.setItem(stored, "off");
    } catch {
      // it holds until the page is left
    }
  };
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); main.current?.focus(); }}>Skip to the content</a>
      <Navigation onHelp={() => setHelp(true)} />
      <main id="main" ref={main} tabIndex={-1}><Shown key={page + route.value.id} /></main>
      <Help open={help} onClose={() => setHelp(false)} on={on} onChange={change} />
      <Notices />
    </>
  );
}

startLive();
const root = document.getElementById("app");
if (root) render(<App />, root);
