// Saving what is shown as a file.

import type { Entry } from "./types";

const columns: [string, (e: Entry) => unknown][] = [
  ["seq", (e) => e.seq], ["id", (e) => e.id], ["start", (e) => e.start], ["tenant", (e) => e.tenant], ["user", (e) => e.user], ["key", (e) => e.key],
  ["operation", (e) => e.operation], ["endpoint", (e) => e.endpoint], ["model", (e) => e.model], ["provider", (e) => e.provider], ["answered", (e) => e.answered], ["region", (e) => e.region],
  ["priority", (e) => e.priority], ["outcome", (e) => e.outcome], ["error_type", (e) => e.error_type], ["cache", (e) => e.cache], ["cache_reason", (e) => e.cache_reason], ["fallback", (e) => e.fallback],
  ["duration_s", (e) => e.duration_ns / 1e9], ["first_token_s", (e) => (e.first_token_ns ?? 0) / 1e9], ["queue_s", (e) => (e.queue_ns ?? 0) / 1e9], ["overhead_s", (e) => (e.overhead_ns ?? 0) / 1e9],
  ["input_tokens", (e) => e.usage.input], ["output_tokens", (e) => e.usage.output], ["micro_usd", (e) => e.micro_usd], ["saved_micro_usd", (e) => e.saved_micro_usd ?? 0],
];

/** cell quotes what needs it. A cell that a spreadsheet would take for a formula is kept from being one. */
function cell(v: unknown): string {
  let text = v === undefined || v === null ? "" : String(v);
  if (typeof v === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** csv is a table for spreadsheets (RFC 4180). */
export function csv(rows: readonly Entry[]): string {
  return [columns.map(([name]) => name), ...rows.map((e) => columns.map(([, value]) => cell(value(e))))].map((r) => r.join(",")).join("\r\n") + "\r\n";
}

/** jsonLines is one entry a line, as the API gives it. */
export function jsonLines(rows: readonly unknown[]): string {
  return rows.map((r) => JSON.stringify(r)).join("\n") + "\n";
}

/** save gives the reader a file. */
export function save(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
