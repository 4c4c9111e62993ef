// Numbers, money, durations and times as people read them. "–" stands for what is not known.

const none = "–";

/** missing says that v is no number to show. */
function missing(v: number | null | undefined): v is null | undefined {
  return v === null || v === undefined || !Number.isFinite(v);
}

/** digits gives v with about three significant digits. */
function digits(v: number): string {
  const size = Math.abs(v);
  return v.toFixed(size >= 100 || Number.isInteger(v) ? 0 : size >= 10 ? 1 : 2);
}

/** seconds as "820 ms", "2.41 s", "3 min 5 s", "2 h 10 min" or "4 d 3 h". */
export function seconds(s: number | null | undefined): string {
  if (missing(s)) return none;
  const size = Math.abs(s);
  if (size === 0) return "0 s";
  if (size < 0.000_999_5) return `${digits(s * 1e6)} µs`;
  if (size < 0.999_5) return `${digits(s * 1e3)} ms`;
  if (size < 99.95) return `${digits(s)} s`;
  const whole = Math.round(size);
  const parts: [number, string][] = [[Math.floor(whole / 86400), "d"], [Math.floor(whole / 3600) % 24, "h"], [Math.floor(whole / 60) % 60, "min"], [whole % 60, "s"]];
  const first = parts.findIndex(([n]) => n > 0);
  return parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

/** nanos is seconds of nanoseconds. */
export function nanos(ns: number | null | undefined): string {
  return missing(ns) ? none : seconds(ns / 1e9);
}

const plain = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

/** count is a whole number with separators. */
export function count(n: number | null | undefined): string {
  return missing(n) ? none : plain.format(n);
}

/** compact is a number in few characters: 12.3K. */
export function compact(n: number | null | undefined): string {
  if (missing(n)) return none;
  return Math.abs(n) < 1000 ? digits(n) : short.format(n);
}

/** percent of a share from 0 to 1. */
export function percent(share: number | null | undefined, fraction?: number): string {
  if (missing(share)) return none;
  const v = share * 100;
  if (fraction !== undefined) return `${v.toFixed(fraction)} %`;
  // 99.96 % is not 100 %: what is nearly all is not shown as all.
  if (v > 99.9 && v < 100) return `${(Math.floor(v * 100) / 100).toFixed(2)} %`;
  return `${v === 0 || v === 100 ? v : Math.abs(v) < 1 ? v.toFixed(2) : v.toFixed(1)} %`;
}

/** money of millionths of a dollar in a currency of which a dollar has rate. */
export function money(micro: number | null | undefined, rate = 1, currency = "USD"): string {
  if (missing(micro)) return none;
  const v = (micro / 1e6) * rate;
  const size = Math.abs(v);
  const fraction = size === 0 ? 0 : size >= 0.995 ? 2 : size >= 0.0995 ? 3 : size >= 0.0001 ? 5 : 6;
  try {
    return new Intl.NumberFormat("en-US", { style: "currency", currency, currencyDisplay: "narrowSymbol", minimumFractionDigits: fraction, maximumFractionDigits: fraction }).format(v);
  } catch {
    return `${v.toFixed(fraction)} ${currency}`;
  }
}

/** usd is money in dollars. */
export function usd(micro: number | null | undefined): string {
  return money(micro);
}

/** bytes in units of 1024. */
export function bytes(n: number | null | undefined): string {
  if (missing(n)) return none;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  let v = n;
  for (; Math.abs(v) >= 1024 && i < units.length - 1; i++) v /= 1024;
  return `${i === 0 ? v : digits(v)} ${units[i]}`;
}

/** rate is a number a second. */
export function rate(perSecond: number | null | undefined): string {
  return missing(perSecond) ? none : `${compact(perSecond)}/s`;
}

/** unitFormat is how values of one of the API's units are written. */
export function unitFormat(unit: string): (v: number | null | undefined) => string {
  switch (unit) {
    case "s": return seconds;
    case "%": case "ratio": case "share": return percent;
    case "bytes": return bytes;
    case "micro-USD": case "micro_usd": return usd;
    case "micro-USD/s": return (v) => (missing(v) ? none : `${usd(v)}/s`);
    case "USD": return (v) => (missing(v) ? none : money(v * 1e6));
    case "/s": return rate;
  }
  return compact;
}

/** hasTime says that there is a time: Go writes the year 1 where there is none. */
export function hasTime(t: string | null | undefined): t is string {
  return !!t && !t.startsWith("0001-");
}

const two = (n: number) => String(n).padStart(2, "0");

/** clock is the local time of day. */
export function clock(t: string | number | Date): string {
  const d = new Date(t);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** dateTime is local date and time. */
export function dateTime(t: string | number | Date): string {
  const d = new Date(t);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(d)}`;
}

/** utc is date and time in UTC. */
export function utc(t: string | number | Date): string {
  return new Date(t).toISOString().slice(0, 19).replace("T", " ") + " UTC";
}

/** ago says how long ago t was, or how far ahead it is. */
export function ago(t: string | number | Date, now = Date.now()): string {
  const s = (now - new Date(t).getTime()) / 1000;
  if (Math.abs(s) < 1.5) return "now";
  const size = Math.abs(s);
  const rounded = size < 60 ? Math.round(size) : size < 3600 ? Math.round(size / 60) * 60 : size < 86400 ? Math.round(size / 3600) * 3600 : Math.round(size / 86400) * 86400;
  const text = rounded < 60 ? `${rounded} s` : rounded < 3600 ? `${rounded / 60} min` : rounded < 86400 ? `${rounded / 3600} h` : `${rounded / 86400} d`;
  return s > 0 ? `${text} ago` : `in ${text}`;
}

/** shortID is the head of an id that is too long for a table. */
export function shortID(id: string, keep = 12): string {
  return id.length > keep + 2 ? id.slice(0, keep) + "…" : id;
}

/** words turns an identifier of the API into words: "provider_timeout" into "provider timeout". */
export function words(name: string | undefined): string {
  return (name ?? "").replaceAll("_", " ");
}
