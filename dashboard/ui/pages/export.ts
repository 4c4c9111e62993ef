// Files made of what a page shows.

import type { CostReport } from "../types";

/** cell quotes a text for CSV. One that a spreadsheet would run as a formula is kept from that. */
function cell(v: string | number): string {
  if (typeof v === "number") return String(v);
  const text = /^[=+\-@\t\r]/.test(v) ? `'${v}` : v;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** csv is a cost report as comma-separated values. Money stands in dollars, with all its digits, and in the report's currency. */
export function csv(r: CostReport, by: "day" | "tenant" | "user" | "key" | "operation" | "provider" | "model"): string {
  const micro = (n: number | undefined) => ((n ?? 0) / 1e6).toFixed(6);
  const head = [by, "calls", "hits", "tokens_in", "tokens_out", "tokens_cache_read", "tokens_cache_write",
    "usd", "compute_usd", "storage_usd", "saved_usd", "estimated_usd", r.currency === "USD" ? "" : r.currency.toLowerCase()].filter(Boolean);
  const rows = (r.rows ?? []).map((row) => [
    by === "day" ? row.day.slice(0, 10) : (row[by] ?? ""), row.calls, row.hits,
    row.usage.input, row.usage.output, row.usage.cache_read, row.usage.cache_write,
    micro(row.micro_usd), micro(row.compute_micro_usd), micro(row.storage_micro_usd), micro(row.saved_micro_usd), micro(row.estimated_micro_usd),
    ...(r.currency === "USD" ? [] : [((row.micro_usd / 1e6) * r.rate).toFixed(6)]),
  ]);
  return [head, ...rows].map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** save hands a text to the reader as a file. */
export function save(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // when the browser has taken it
}
