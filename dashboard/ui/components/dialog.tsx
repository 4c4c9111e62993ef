// Dialogs: the browser's own, which keep the focus inside, close with Esc and give the focus back.

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import { Button, TextInput } from "./controls";
import { ErrorState } from "./states";

/**
 * useReset gives a form its first values whenever deps change, such as that it opens. It does so before the first key: an
 * effect after the paint would take back what was typed meanwhile.
 */
export function useReset(reset: () => void, deps: readonly unknown[]) {
  useLayoutEffect(reset, deps);
}

export function Dialog(props: {
  title: string; open: boolean; onClose: () => void; actions?: ComponentChildren; wide?: boolean; children: ComponentChildren;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const back = useRef<Element | null>(null);
  const id = useId();
  // Before the next paint, so that the key after Esc already meets the page.
  useLayoutEffect(() => {
    const d = ref.current;
    if (!d || d.open === props.open) return;
    if (props.open) {
      back.current = document.activeElement;
      d.showModal();
      return;
    }
    d.close();
    if (back.current instanceof HTMLElement && back.current.isConnected) back.current.focus();
  }, [props.open]);
  return (
    <dialog ref={ref} class={props.wide ? "wide" : ""} aria-labelledby={id}
      onCancel={(e) => { e.preventDefault(); props.onClose(); }}
      onClick={(e) => { if (e.target === e.currentTarget) props.onClose(); }}>
      {props.open && (
        <div class="dialog-body">
          <div class="dialog-head">
            <h2 id={id}>{props.title}</h2>
            <Button kind="quiet" label="Close" onClick={props.onClose}>✕</Button>
          </div>
          {props.children}
          {props.actions && <div class="dialog-actions">{props.actions}</div>}
        </div>
      )}
    </dialog>
  );
}

/** ConfirmDialog asks before a change. With typed, the reader has to type that word. It closes when onConfirm has succeeded. */
export function ConfirmDialog(props: {
  title: string; open: boolean; onClose: () => void; confirm: string; onConfirm: () => Promise<void>;
  danger?: boolean; typed?: string; disabled?: boolean; children?: ComponentChildren;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [word, setWord] = useState("");
  useReset(() => {
    setError(null);
    setWord("");
  }, [props.open]);
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await props.onConfirm();
      props.onClose();
    } catch (e) {
      setError(e instanceof ApiError ? e : ApiError.unreachable(e));
    } finally {
      setBusy(false);
    }
  };
  const blocked = props.disabled || (props.typed !== undefined && word !== props.typed);
  return (
    <Dialog title={props.title} open={props.open} onClose={props.onClose}>
      <form onSubmit={(e) => { e.preventDefault(); if (!blocked && !busy) void run(); }}>
        {props.children}
        {props.typed !== undefined && <TextInput label={`Type ${props.typed} to go on`} value={word} onInput={setWord} />}
        {error && <ErrorState error={error} />}
        <div class="dialog-actions">
          <Button onClick={props.onClose}>Cancel</Button>
          <Button submit kind={props.danger ? "danger" : "primary"} busy={busy} disabled={blocked}>{props.confirm}</Button>
        </div>
      </form>
    </Dialog>
  );
}
