// The JSON API as TypeScript: what package console and the gateway answer. Durations that end in _ns are
// nanoseconds, money that ends in _micro_usd or micro_usd is in millionths of a dollar, times are RFC 3339.

export interface Health {
  overall: "healthy" | "degraded" | "unhealthy";
  performance: {
    requests: number; failures: number; error_rate: number;
    p50_seconds: number; p95_seconds: number; p99_seconds: number; tokens_total: number;
  };
  queue: { waiting: number; processing: number; capacity: number; by_priority: Record<string, number>; refused: number };
  jobs: { enabled: boolean; up: boolean };
  cache: { enabled: boolean; entries: number; bytes: number; hits: number; misses: number; hit_rate: number };
  degradation: { level: string; reasons?: string[]; targets: Record<string, string> };
}

export interface Totals {
  requests: number; per_second: number; failures: number; error_rate: number; refused: number;
  p50: number; p95: number; p99: number; first_token_p50: number; first_token_p95: number; overhead_p99: number;
  hit_rate: number; input_tokens: number; output_tokens: number; micro_usd: number; saved_micro_usd: number;
  waiting: number; in_flight: number; concurrent_users: number;
}

export type Severity = "warning" | "critical";

export interface Problem { severity: Severity; what: string; why: string; do: string; page: string }

export interface Overview {
  at: string; started: string; version: string; window_seconds: number;
  health: Health;
  totals: Totals;
  faults: Record<string, number> | null;
  objective: { seconds: number; met: number };
  problems: Problem[] | null;
  alarms: AlarmStatus[] | null;
  slowest: OperationRow[] | null;
  failing: OperationRow[] | null;
  budgets: BudgetState[] | null;
  cost_today_micro_usd: number;
}

export interface OperationRow extends Totals { name: string }
export interface OperationList { object: string; by: string; data: OperationRow[] | null }

export interface SeriesAnswer { from: number; step_seconds: number; series: SeriesLine[] | null }
export interface SeriesLine { query: string; metric: string; stat: string; unit: string; of?: string; values: (number | null)[] | null }
export interface MetricEntry { name: string; kind: string; unit: string; doc: string; labels: string[] | null; stats: string[] | null }

/** Usage counts tokens. */
export interface Usage { input: number; output: number; cache_read: number; cache_write: number }

export interface Attempt {
  target: string; region?: string;
  start_ns: number; waited_ns?: number; duration_ns: number; first_token_ns?: number;
  error_type?: string;
}

export interface Entry {
  seq: number; id: string; start: string;
  tenant: string; user?: string; key?: string; operation: string; persona?: string; endpoint: string;
  model: string; priority: string; stream?: boolean; job?: boolean;
  provider?: string; answered?: string; region?: string;
  outcome: string; error_type?: string;
  cache: string; cache_reason?: string; cache_detail?: string; stored?: boolean; cache_key?: string;
  fallback?: string; template?: string;
  duration_ns: number; lookup_ns?: number; queue_ns?: number; upstream_ns?: number; first_token_ns?: number; overhead_ns?: number;
  usage: Usage; estimated?: boolean;
  micro_usd: number; saved_micro_usd?: number;
  trace?: string; trace_parent?: string;
  attempts?: Attempt[];
}

export interface RequestList { object: string; data: Entry[] | null; next?: number }

export interface Live {
  at: string; totals: Totals; firing: number; overall: string; dropped: number;
}

export interface Transition { at: string; target: string; from: string; to: string; reason?: string }
export interface TransitionList { from: string; to: string; states: Record<string, string> | null; data: Transition[] | null }

export type AlarmState = "ok" | "firing" | "no_data";

export interface AlarmStatus {
  name: string; of?: string; state: AlarmState; since: string; value: number; has_value: boolean; silenced?: boolean; reason: string;
}

export interface AlarmEntry {
  name: string; severity: Severity;
  metric: string; stat: string; over?: string; by?: string; window_ns: number;
  op: string; threshold: number; burn?: { long_ns: number; short_ns: number; factor: number }[]; clear?: number;
  every_ns?: number; settle_ns?: number; m?: number; n?: number; min_count?: number; missing?: string;
  message: string; do?: string; runbook?: string; unit?: string; external?: boolean; off?: boolean;
  states: AlarmStatus[] | null;
}

export interface Silence { id: string; alarm: string; of?: string; from: string; until: string; by: string; comment?: string }
export interface NotifierStatus {
  name: string; sent: number; failed: number; dropped: number; waiting: number; last_error?: string; last_sent?: string;
}
export interface AlarmList {
  object: string; profile: string; data: AlarmEntry[] | null; silences: Silence[] | null; notifiers: NotifierStatus[] | null;
}
export interface AlarmEvent {
  seq: number; at: string; name: string; of?: string; severity: Severity; from: AlarmState; to: AlarmState;
  value: number; reason: string; silenced?: boolean;
}
export interface AlarmHistory { object: string; data: AlarmEvent[] | null; next?: number }
export interface NewSilence { alarm: string; of?: string; for: string; comment?: string }
export interface AlarmTest { data: { notifier: string; ok: boolean; error?: string; seconds: number }[] | null }

export interface Amounts {
  calls: number; usage: Usage; micro_usd: number; compute_micro_usd?: number; storage_micro_usd?: number;
  hits: number; saved_micro_usd: number; estimated_micro_usd?: number;
}
export interface CostRow extends Amounts {
  day: string; tenant: string; user?: string; key?: string; operation: string; provider?: string; model?: string;
}
export interface CostReport {
  from: string; to: string; by: string[] | null; currency: string; rate: number; rate_date?: string;
  total: Amounts; rows: CostRow[] | null; truncated?: boolean;
}
export interface BudgetState {
  rule: string; kind: "soft" | "hard" | "degrade"; period: "day" | "month";
  tenant?: string; key?: string; user?: string; operation?: string; from: string; to: string;
  limit_micro_usd: number; spent_micro_usd: number; reserved_micro_usd: number; warned: boolean; exhausted: boolean;
}
export interface BudgetList { object: string; data: BudgetState[] | null }
export interface OwnUsage {
  key: string; tenant: string; from: string; to: string; total: Amounts;
  days: CostRow[] | null; models: CostRow[] | null; budgets: BudgetState[] | null; currency: string;
}

export interface ConfigEntry { key: string; value: string; default?: string; origin: string; doc: string }
export interface ConfigList { object: string; file?: string; data: ConfigEntry[] | null }

export interface Session {
  key: string; tenant: string; scopes: string[] | null; read_only: boolean; open: boolean; csrf?: string;
}

// From here on: routes of package gateway.

export interface CacheCounts {
  hits: number; hits_on_disk: number; refusal_hits: number; stale_hits: number; coalesced: number; bypassed: number;
  misses: number; miss_reasons?: Record<string, number>; stored: number; saved_tokens: number; saved_usd: number;
}
export interface CacheState extends CacheCounts {
  entries: number; bytes: number; hit_rate: number; evictions: number; too_large: number; invalidations: number;
  operations: Record<string, CacheCounts> | null;
  store?: {
    state: string; waiting_bytes: number; written: number; dropped: number; damaged: number;
    undecryptable: number; deleted: number; compression: number;
  };
  top?: { key: string; operation: string; model: string; hits: number; bytes: number; age_seconds: number }[];
}
export interface Invalidation {
  tenant?: string; all_tenants?: boolean; operation?: string; user?: string; model?: string; namespace?: string; key?: string; dry_run?: boolean;
}
export interface Invalidated { dry_run: boolean; memory: number; store?: number; number?: number; durable: boolean }

export interface Breaker {
  name: string; state: "closed" | "half_open" | "open"; forced: boolean; since?: string; reason?: string; retry_at?: string;
  share: number; consecutive: number; failures: number; slow: number; total: number;
}
export interface Target {
  name: string; provider: string; model?: string; region?: string; residency?: string;
  breaker: Breaker;
  in_flight: number; limit: number; ceiling: number; waiting: number; limit_reason?: string; cooling_until?: string; first_token_ns?: number;
  quota?: { requests_per_minute: number; tokens_per_minute: number; requests_left: number; tokens_left: number; open: number };
  region_down?: boolean;
}
export interface TargetList { object: string; data: Target[] | null }
export interface BreakerChange { target: string; action: "open" | "close" | "reset"; reason?: string }

export type JobState = "queued" | "processing" | "completed" | "failed" | "timeout" | "cancelled" | "dead";
export interface Job {
  id: string; object: string; state: JobState; operation?: string; endpoint?: string; model?: string;
  priority: string; priority_score: number; tenant?: string; user?: string; custom_id?: string;
  created_at: string; deadline_at?: string; not_before?: string; started_at?: string; finished_at?: string;
  result_until?: string; keep_until?: string; attempt: number; retries: number; lost_leases: number; bytes: number;
  place?: number; estimated_wait_ms?: number;
  error?: { error_type: string; message: string };
  webhook?: { state: string; attempts: number };
}
export interface JobList { object: string; data: Job[] | null; has_more: boolean; next?: string }
export interface JobStats {
  queued: number; processing: number; completed: number; failed: number; timeout: number; cancelled: number; dead: number; damaged: number;
  counted_at?: string;
  bands?: Record<string, { queued: number; processing: number; delayed: number; oldest_seconds: number; estimated_wait_seconds: number }>;
  queued_bytes?: number; drain_rate_per_second: number; accepted: number; refused: number; retries: number;
  lost_leases: number; fenced: number; paused: string[] | null; draining?: boolean;
}
