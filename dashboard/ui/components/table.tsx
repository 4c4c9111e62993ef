// Tables: a sticky head, sorting that the URL keeps, j and k from row to row.

import type { ComponentChild } from "preact";
import { param, setParams } from "../route";
import type { Tone } from "./layout";

export interface Column<R> {
  key: string;
  head: string;
  cell: (row: R) => ComponentChild;
  /** What the column is sorted by; without it there is no sorting. */
  sort?: (row: R) => number | string | null | undefined;
  align?: "end";
  /** A wide column takes what room is left; long text in it is cut. */
  wide?: boolean;
  title?: string;
}

export interface TableProps<R> {
  /** What the table shows, for screen readers. */
  label: string;
  rows: readonly R[] | null | undefined;
  columns: readonly Column<R>[];
  id: (row: R) => string | number;
  /** Where a row leads: the first cell is a link there. */
  link?: (row: R) => string;
  /** Or what a row does: the first cell is a button. */
  onOpen?: (row: R) => void;
  empty?: ComponentChild;
  /** The sorting before anyone chose: a column's key, with "-" before it for the largest first. */
  sort?: string;
  /** Tells this table's sorting from another's on the same page. */
  name?: string;
  maxHeight?: number;
  tone?: (row: R) => Tone | undefined;
  /** At most so many rows are drawn; the rest is told of. Default 500. */
  limit?: number;
}

function sorted<R>(rows: readonly R[], columns: readonly Column<R>[], by: string): readonly R[] {
  const down = by.startsWith("-");
  const value = columns.find((c) => c.key === (down ? by.slice(1) : by))?.sort;
  if (!value) return rows;
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const x = value(a) ?? null;
    const y = value(b) ?? null;
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1; // what is unknown stands last
    return sign * (typeof x === "string" || typeof y === "string" ? String(x).localeCompare(String(y), "en", { numeric: true }) : x - y);
  });
}

export function Table<R>(props: TableProps<R>) {
  const name = props.name ? `${props.name}.sort` : "sort";
  const by = param(name, props.sort ?? "");
  const limit = props.limit ?? 500;
  const rows = props.rows ?? [];
  if (rows.length === 0) return <>{props.empty ?? <p class="nothing">Nothing to show.</p>}</>;
  const shown = sorted(rows, props.columns, by).slice(0, limit);
  const turn = (key: string) => {
    // The first press puts the largest first, since that is what people look for.
    const next = by === `-${key}` ? key : `-${key}`;
    setParams({ [name]: next === (props.sort ?? "") ? null : next });
  };
  return (
    <>
      <div class="table-box" tabIndex={0} role="group" aria-label={props.label}
        style={props.maxHeight ? { maxHeight: `${props.maxHeight}px` } : undefined}>
        <table data-rows>
          <caption class="sr">{props.label}</caption>
          <thead>
            <tr>{props.columns.map((c) => <Head key={c.key} column={c} by={by} onTurn={turn} />)}</tr>
          </thead>
          <tbody>
            {shown.map((row) => <Row key={props.id(row)} row={row} table={props} />)}
          </tbody>
        </table>
      </div>
      {rows.length > limit && <p class="nothing">{limit} of {rows.length} rows are shown. Narrow the filters to see the others.</p>}
    </>
  );
}

function Head<R>(props: { column: Column<R>; by: string; onTurn: (key: string) => void }) {
  const c = props.column;
  const direction = props.by === c.key ? "ascending" : props.by === `-${c.key}` ? "descending" : undefined;
  const classes = `${c.align === "end" ? "end" : ""}${c.wide ? " wide" : ""}`;
  return (
    <th scope="col" class={classes} aria-sort={direction} title={c.title}>
      {c.sort
        ? (
          <button type="button" class="sort" onClick={() => props.onTurn(c.key)}>
            {c.head}<span class="sort-mark" aria-hidden="true">{direction === "ascending" ? "↑" : direction === "descending" ? "↓" : ""}</span>
          </button>
        )
        : c.head}
    </th>
  );
}

function Row<R>(props: { row: R; table: TableProps<R> }) {
  const { row, table } = props;
  const to = table.link?.(row);
  const opens = to !== undefined || table.onOpen !== undefined;
  const open = (e: MouseEvent) => {
    // A click on a link or button inside, or the end of marking text, is not meant for the row.
    if ((e.target as Element).closest("a, button, input, select, label") || getSelection()?.toString()) return;
    if (to !== undefined) location.hash = to;
    else table.onOpen?.(row);
  };
  const tone = table.tone?.(row);
  return (
    <tr class={`${opens ? "opens" : ""}${tone ? ` tone-${tone}` : ""}`} onClick={opens ? open : undefined}>
      {table.columns.map((c, i) => {
        const cell = c.cell(row);
        const classes = `${c.align === "end" ? "end num" : ""}${c.wide ? " wide" : ""}`;
        if (i > 0) return <td key={c.key} class={classes}>{cell}</td>;
        return (
          <th key={c.key} scope="row" class={classes}>
            {to !== undefined
              ? <a href={to} data-row>{cell}</a>
              : table.onOpen ? <button type="button" class="link" data-row onClick={() => table.onOpen?.(row)}>{cell}</button> : cell}
          </th>
        );
      })}
    </tr>
  );
}

/** stepRow moves the focus to the next row (1) or the one before (-1) of the table with the focus, or of the first. */
export function stepRow(step: 1 | -1): void {
  const here = document.activeElement?.closest("table[data-rows]");
  const table = here?.querySelector("[data-row]") ? here : [...document.querySelectorAll("table[data-rows]")].find((t) => t.querySelector("[data-row]"));
  if (!table) return;
  const rows = [...table.querySelectorAll<HTMLElement>("[data-row]")];
  const at = rows.findIndex((r) => r.closest("tr")?.contains(document.activeElement));
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step];
  next?.focus();
  next?.closest("tr")?.scrollIntoView({ block: "nearest" });
}
