// Loading what a page shows, again and again while someone looks at it.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api";
import { paused } from "./live";

export interface Query<T> {
  data?: T;
  error?: ApiError;
  /** loading: nothing is there yet. */
  loading: boolean;
  /** stale: data is there, and the last try to renew it failed. */
  stale: boolean;
  reload(): void;
}

interface State<T> { data?: T; error?: ApiError; key: string }

/** goesOn waits until the reader lets things move again. */
function goesOn(): Promise<void> {
  return new Promise((done) => {
    const stop = paused.subscribe((still) => {
      if (still) return; // never at first: it is paused
      stop();
      done();
    });
  });
}

/**
 * useQuery loads at once, whenever deps change and then every everyMS (0: never again). Old data stays until
 * new is there. Nothing is loaded in a hidden tab or, by itself, while the reader has paused; what was asked for
 * before the pause is shown when it goes on.
 */
export function useQuery<T>(load: (signal: AbortSignal) => Promise<T>, deps: readonly unknown[], everyMS = 0): Query<T> {
  const [state, setState] = useState<State<T>>({ key: "" });
  const [turn, setTurn] = useState(0);
  const loader = useRef(load);
  loader.current = load;
  const moving = useRef(true); // when it was asked for the reader had not paused
  const shownKey = useRef<string | null>(null);
  shownKey.current = state.data === undefined ? null : state.key;
  const key = JSON.stringify(deps);

  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    let failures = 0;
    let busy = false;
    const again = () => {
      if (everyMS <= 0 || abort.signal.aborted) return;
      clearTimeout(timer);
      // Failures slow it down: a gateway that is down need not be asked every second.
      timer = window.setTimeout(tick, Math.min(everyMS * 2 ** Math.min(failures, 4), Math.max(everyMS, 60_000)));
    };
    const tick = () => {
      if (document.hidden || paused.peek()) return again();
      moving.current = true;
      void run();
    };
    const run = async () => {
      if (busy) return;
      busy = true;
      try {
        const data = await loader.current(abort.signal);
        if (moving.current && paused.peek() && shownKey.current === key) await goesOn();
        failures = 0;
        if (!abort.signal.aborted) setState({ data, key });
      } catch (e) {
        busy = false;
        failures++;
        if (abort.signal.aborted) return;
        const error = e instanceof ApiError ? e : ApiError.unreachable(e);
        setState((old) => ({ data: old.key === key ? old.data : undefined, error, key }));
      }
      busy = false;
      again();
    };
    const shown = () => {
      if (document.hidden || everyMS <= 0 || paused.peek()) return;
      clearTimeout(timer);
      timer = window.setTimeout(tick, 50);
    };
    document.addEventListener("visibilitychange", shown);
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    };
  }, [key, everyMS, turn]);

  return {
    data: state.data,
    error: state.error,
    loading: state.data === undefined && state.error === undefined,
    stale: state.data !== undefined && (state.error !== undefined || state.key !== key),
    reload: () => {
      moving.current = !paused.peek();
      setTurn((n) => n + 1);
    },
  };
}
