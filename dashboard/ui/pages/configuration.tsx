// Every setting: its value, where that comes from, and what it does.

import { api } from "../api";
import { Badge, Card, Copy, EmptyState, Field, Loaded, Page, Table } from "../components";
import { count } from "../format";
import { useQuery } from "../query";
import { param, setParams } from "../route";
import type { ConfigEntry, ConfigList } from "../types";

export default function Configuration() {
  const config = useQuery<ConfigList>((signal) => api.get("v1/config", {}, signal), [], 60_000);
  return (
    <Page title="Configuration" about="Every setting, where its value comes from and what it does. Secrets are shown as ***. Changes are made in the file, the environment or by flags.">
      <Loaded query={config}>{(list) => <Contents list={list} />}</Loaded>
    </Page>
  );
}

/** changed says that an entry's value was given by somebody. */
function changed(e: ConfigEntry): boolean {
  return e.origin !== "default";
}

/** short is an origin without the folders of its file, which are the same in each row. */
function short(origin: string): string {
  return origin.replace(/^(file )?.*[/\\]/, "$1");
}

function Contents({ list }: { list: ConfigList }) {
  const all = list.data ?? [];
  const words = param("q").toLowerCase().split(/\s+/).filter(Boolean);
  const only = param("changed") === "1";
  const found = all.filter((e) => (!only || changed(e)) && words.every((w) => `${e.key} ${e.value} ${e.origin} ${e.doc}`.toLowerCase().includes(w)));
  const sections = [...new Set(found.map((e) => section(e.key)))];
  return (
    <>
      <Card>
        <div class="settings-tools">
          <Field label="Search">
            <input type="search" data-search autocomplete="off" spellcheck={false} value={param("q")} placeholder="key, value, origin or description"
              onInput={(e) => setParams({ q: e.currentTarget.value })} />
          </Field>
          <label class="check">
            <input type="checkbox" checked={only} onChange={(e) => setParams({ changed: e.currentTarget.checked ? "1" : null })} /> Only what differs from the default
          </label>
        </div>
        <p class="muted" role="status">
          {count(found.length)} of {count(all.length)} settings shown, {count(all.filter(changed).length)} set by someone.
          {list.file ? <> File: <Copy text={list.file} label="the file's path" /></> : " No file was read."}
        </p>
      </Card>
      {sections.length === 0 ? <Nothing only={only} /> : (
        <div class="settings">
          {sections.map((name) => <Card key={name} title={name}><Section name={name} entries={found.filter((e) => section(e.key) === name)} /></Card>)}
        </div>
      )}
    </>
  );
}

function Nothing({ only }: { only: boolean }) {
  return (
    <Card>
      <EmptyState title="No setting matches">
        {only && !param("q") ? "Every setting has its default value. Set one in forebay.yaml, in the environment or by a flag." : "Search for a part of a key, such as cache or timeout, or for a word of its description."}
      </EmptyState>
    </Card>
  );
}

/** section is the first part of a key; keys without parts are general. */
function section(key: string): string {
  const dot = key.search(/[.[]/);
  return dot < 0 ? "general" : key.slice(0, dot);
}

function Section({ name, entries }: { name: string; entries: ConfigEntry[] }) {
  return (
    <Table label={`Settings: ${name}`} name={`s-${name}`} rows={entries} id={(e) => e.key} columns={[
      { key: "key", head: "Key", cell: (e) => <code>{e.key}</code> },
      { key: "value", head: "Value", cell: (e) => <Value entry={e} /> },
      { key: "origin", head: "From", cell: (e) => (changed(e) ? <Badge tone="info" title={e.origin}>{short(e.origin)}</Badge> : <span class="muted">default</span>) },
      { key: "doc", head: "What it does", wide: true, cell: (e) => e.doc },
    ]} />
  );
}

function Value({ entry: e }: { entry: ConfigEntry }) {
  return (
    <>
      {e.value === "" ? <span class="muted">empty</span> : <code class="value">{e.value}</code>}
      {changed(e) && e.default !== undefined && e.default !== e.value ? <span class="cell-sub">default: {e.default === "" ? "empty" : e.default}</span> : null}
    </>
  );
}
