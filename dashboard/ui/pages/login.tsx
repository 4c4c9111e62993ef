// Login: a key of this gateway begins a session of this browser.

import { useEffect, useState } from "preact/hooks";
import { ApiError, login } from "../api";
import { Button, ErrorState, TextInput } from "../components";

export default function Login() {
  const [key, setKey] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => { document.title = "Log in · Forebay"; }, []);
  const send = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await login(key.trim());
    } catch (e) {
      setError(e instanceof ApiError ? e : ApiError.unreachable(e));
      setBusy(false);
    }
  };
  return (
    <main class="alone">
      <h1>Forebay</h1>
      <form class="card login" onSubmit={send}>
        <TextInput label="Key" type="password" name="key" autocomplete="current-password" value={key} onInput={setKey} autofocus required maxLength={512}
          hint={<>A key of this gateway with the scope <code>metrics</code>. What it may change is up to its scopes <code>cache</code>, <code>jobs</code> and <code>admin</code>. It is sent once and not kept in the browser.</>} />
        {error && <ErrorState error={error} />}
        <Button submit kind="primary" busy={busy}>Log in</Button>
      </form>
    </main>
  );
}
