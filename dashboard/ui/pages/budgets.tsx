// Budgets: what is spent, what calls in progress hold, what is left.

import { api } from "../api";
import { Badge, Card, EmptyState, Loaded, Time } from "../components";
import { money, percent } from "../format";
import { useQuery } from "../query";
import type { BudgetList, BudgetState } from "../types";

const kinds: Record<BudgetState["kind"], string> = {
  soft: "says so, calls pass", hard: "refuses calls when it is spent", degrade: "gives the operation's simplified answer when it is spent",
};

interface Props { rate: number; currency: string }

/** Budgets lists every budget in its present period. */
export function Budgets({ rate, currency }: Props) {
  const list = useQuery<BudgetList>((signal) => api.get("v1/budgets", {}, signal), [], 10_000);
  return (
    <Card title="Budgets" about="Money is reserved before a call and settled after it, so that calls at the same time do not overrun a budget together.">
      <Loaded query={list}>{(l) => <List states={l.data ?? []} rate={rate} currency={currency} />}</Loaded>
    </Card>
  );
}

/** used is the share of a budget that is spent or held. */
function used(s: BudgetState): number {
  return (s.spent_micro_usd + s.reserved_micro_usd) / Math.max(s.limit_micro_usd, 1);
}

function List({ states, rate, currency }: Props & { states: readonly BudgetState[] }) {
  if (states.length === 0) {
    return (
      <EmptyState title="No budgets" code={"budgets:\n  students:\n    user: \"*\"\n    period: month\n    kind: hard\n    usd: 0.18"}>
        A budget bounds what a tenant, a key, a user or an operation spends in a day or a month. This one gives every user the same.
      </EmptyState>
    );
  }
  const most = 50;
  const sorted = [...states].sort((a, b) => used(b) - used(a));
  return (
    <>
      <ul class="plain budgets">{sorted.slice(0, most).map((s) => <Budget key={[s.rule, s.tenant, s.key, s.user, s.operation].join("|")} state={s} rate={rate} currency={currency} />)}</ul>
      {sorted.length > most ? <p class="muted">The {most} that are nearest their end, of {sorted.length}.</p> : null}
    </>
  );
}

function Budget({ state: s, rate, currency }: Props & { state: BudgetState }) {
  const shown = (micro: number) => money(micro, rate, currency);
  const tone = s.exhausted ? "bad" : s.warned ? "warn" : "ok";
  const whose = ([["tenant", s.tenant], ["key", s.key], ["user", s.user], ["operation", s.operation]] as const).filter(([, v]) => v).map(([k, v]) => `${k} ${v}`).join(", ");
  const text = `${shown(s.spent_micro_usd)} of ${shown(s.limit_micro_usd)} spent`;
  return (
    <li class="budget">
      <div class="row spread">
        <span class="row"><strong>{s.rule}</strong>{whose ? <span class="muted">{whose}</span> : null}
          {s.exhausted ? <Badge tone="bad">spent</Badge> : s.warned ? <Badge tone="warn">nearly spent</Badge> : null}</span>
        <span class="num">{text} <span class="muted">({percent(used(s), 0)})</span></span>
      </div>
      <BudgetBar state={s} tone={tone} label={`${s.rule} ${whose}: ${text}, ${shown(s.reserved_micro_usd)} reserved`} />
      <p class="cell-sub">
        {s.kind}: {kinds[s.kind] ?? ""}. {s.reserved_micro_usd > 0 ? `${shown(s.reserved_micro_usd)} reserved by calls in progress. ` : ""}
        Begins anew <Time at={s.to} />.
      </p>
    </li>
  );
}

/** BudgetBar has two parts: what is spent, and behind it, hatched, what is reserved. */
function BudgetBar({ state: s, tone, label }: { state: BudgetState; tone: string; label: string }) {
  const limit = Math.max(s.limit_micro_usd, s.spent_micro_usd + s.reserved_micro_usd, 1);
  const spent = (100 * s.spent_micro_usd) / limit;
  const reserved = (100 * s.reserved_micro_usd) / limit;
  return (
    <svg class={`bar budget-bar tone-${tone}`} role="img" aria-label={label} viewBox="0 0 100 8" preserveAspectRatio="none">
      <rect class="bar-back" width="100" height="8" rx="1" />
      <rect class="bar-fill" width={spent} height="8" rx="1" />
      <rect class="bar-reserved" x={spent} width={reserved} height="8" />
    </svg>
  );
}
