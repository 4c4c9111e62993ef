package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/notify"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/webhook"
)

// canary stands in every secret, and nowhere else.
const canary = "CANARY"

var signing = []byte("0123456789abcdef0123456789abcdef")

// serve answers requests on loopback, over TLS if asked, until the test ends.
func serve(t *testing.T, secure bool, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func newWebhook(t *testing.T, cfg notify.WebhookConfig) *notify.Webhook {
	t.Helper()
	cfg.Secret = llm.Secret(webhook.Secret(signing))
	w, err := notify.NewWebhook(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// want checks an error: whether another try is of use, and that no secret is in it.
func want(t *testing.T, name string, err error, noRetry bool, text string) {
	t.Helper()
	if err == nil || llm.AsError(err).NoRetry != noRetry || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v (no retry: %v), want one about %q", name, err, llm.AsError(err).NoRetry, text)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %s", err, err, err), canary) {
		t.Errorf("%s: a secret is in %v", name, err)
	}
}

func TestWebhook(t *testing.T) {
	var got alarm.Notice
	var ids []string
	s := serve(t, false, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = webhook.Verify(signing, r.Header, body, time.Now(), time.Minute)
		}
		if err != nil || json.Unmarshal(body, &got) != nil || r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", r.Method, body, err)
		}
		ids = append(ids, r.Header.Get("webhook-id"))
	})
	w := newWebhook(t, notify.WebhookConfig{URL: llm.Secret(s.URL + "/" + canary), Allow: []string{"127.0.0.1"}})
	n := notice("n-1")
	n.Items[0].Value = 0.12
	for range 2 {
		if err := w.Notify(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(n, got); diff != "" {
		t.Error(diff)
	}
	n.ID = "what: ever\r\nX-Evil: 1" // still one id, and no header
	n.Items[0].Value = math.NaN()    // JSON has none
	if err := w.Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if len(ids) != 3 || ids[0] != "n-1" || ids[1] != "n-1" || len(ids[2]) != 32 || got.Items[0].HasValue {
		t.Errorf("%v, %+v", ids, got.Items[0])
	}
	if w.Name() != "webhook" {
		t.Error(w.Name())
	}
}

func TestWebhookFailures(t *testing.T) {
	var status atomic.Int32
	var inside atomic.Bool
	s := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/inside" {
			inside.Store(true)
		}
		w.Header().Set("Location", "/inside")
		w.WriteHeader(int(status.Load()))
	})
	w := newWebhook(t, notify.WebhookConfig{URL: llm.Secret(s.URL + "/" + canary), Allow: []string{"127.0.0.1"}})
	for code, final := range map[int32]bool{500: false, 503: false, 429: false, 404: false, 410: true, 302: false, 307: false} {
		status.Store(code)
		want(t, fmt.Sprint(code), w.Notify(t.Context(), notice("n")), final, fmt.Sprint(code))
	}
	if inside.Load() {
		t.Error("a redirect was followed")
	}
	s.Close()
	want(t, "nobody there", w.Notify(t.Context(), notice("n")), false, "no answer from 127.0.0.1")
}

func TestWebhookTLSAndTime(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, true, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.HasSuffix(r.URL.Path, "hang") {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			// An answer now could still be read: TLS takes leave before it closes.
			panic(http.ErrAbortHandler)
		}
	})
	defer close(release)
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	url := llm.Secret(s.URL + "/" + canary)
	good := notify.WebhookConfig{URL: url, Allow: []string{"127.0.0.0/8"}, Roots: roots}
	if err := newWebhook(t, good).Notify(t.Context(), notice("n")); err != nil {
		t.Error(err)
	}
	strange := good
	strange.Roots = nil
	want(t, "unknown authority", newWebhook(t, strange).Notify(t.Context(), notice("n")), false, "certificate")
	slow := good
	slow.URL += "hang"
	slow.Timeout = 100 * time.Millisecond
	want(t, "hangs", newWebhook(t, slow).Notify(t.Context(), notice("n")), false, "no answer")
	slow.Timeout = 0
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	want(t, "ends with its context", newWebhook(t, slow).Notify(ctx, notice("n")), false, "no answer")
}

func TestWebhookFaults(t *testing.T) {
	for _, private := range []string{"https://127.0.0.1/", "https://10.1.2.3/", "https://[::1]/", "https://metadata.internal/", "http://hooks.example.com/", "ftp://example.com/"} {
		err := notify.WebhookConfig{Name: "ops", URL: llm.Secret(private + canary), Secret: llm.Secret(webhook.Secret(signing))}.Validate()
		if err == nil || !strings.Contains(err.Error(), `notifier "ops": url: `) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", private, err)
		}
	}
	err := notify.WebhookConfig{Name: "Ops!", Secret: canary, Timeout: -1, Allow: []string{"a b"}}.Validate()
	for _, want := range []string{`name "Ops!"`, "secret: ", "not negative", `"a b"`} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) {
			t.Errorf("no fault about %q in %v", want, err)
		}
	}
	if err := (notify.WebhookConfig{Secret: llm.Secret(webhook.Secret(signing))}).Validate(); err == nil || !strings.Contains(err.Error(), "url is missing") {
		t.Error(err)
	}
}

func newSlack(t *testing.T, s *httptest.Server, path string, timeout time.Duration) *notify.Slack {
	t.Helper()
	n, err := notify.NewSlack(notify.SlackConfig{
		URL: llm.Secret(s.URL + "/services/" + canary + path), Timeout: timeout, Roots: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// message is what Slack gets.
type message struct {
	Text   string `json:"text"`
	Blocks []struct {
		Type string `json:"type"`
		Text struct {
			Type, Text string
			Verbatim   bool
		} `json:"text"`
		Elements []struct{ Type, Text string } `json:"elements"`
	} `json:"blocks"`
}

// posted is what a notice looks like to Slack.
func posted(t *testing.T, n alarm.Notice) message {
	t.Helper()
	var got message
	s := serve(t, true, func(w http.ResponseWriter, r *http.Request) {
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil || json.Unmarshal(raw, &got) != nil || r.Method != "POST" {
			t.Errorf("%s: %v", r.Method, err)
		}
		fmt.Fprint(w, "ok")
	})
	if err := newSlack(t, s, "", 0).Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSlack(t *testing.T) {
	got := posted(t, notice("n-1"))
	if got.Text != "[CRITICAL] errors-high on chat" || len(got.Blocks) != 3 {
		t.Fatalf("%+v", got)
	}
	section := got.Blocks[1].Text
	for _, part := range []string{"*errors-high (chat)* critical, firing", "Too many calls fail.", "12 % of 340", "Since 2026-11-22 08:29:00 UTC", "What to do: Look", "<https://example.com/runbooks/errors|Runbook>"} {
		if !strings.Contains(section.Text, part) {
			t.Errorf("no %q in %q", part, section.Text)
		}
	}
	if section.Type != "mrkdwn" || !section.Verbatim || got.Blocks[0].Type != "header" || got.Blocks[0].Text.Type != "plain_text" {
		t.Errorf("%+v", got.Blocks)
	}
	if foot := got.Blocks[2].Elements[0].Text; foot != "gateway-1 · 2026-11-22 08:30:00 UTC · n-1" {
		t.Error(foot)
	}
	n := notice("n-2")
	n.Resolved = true
	if got := posted(t, n); !strings.HasPrefix(got.Text, "[RESOLVED] ") {
		t.Error(got.Text)
	}
	n.Test = true
	if got := posted(t, n); !strings.HasPrefix(got.Text, "[TEST] ") {
		t.Error(got.Text)
	}
}

// What others wrote mentions nobody, links nowhere, and stays within Slack's bounds.
func TestSlackEscapes(t *testing.T) {
	evil := "<!channel> <https://evil.example|click> &amp; *bold* `code` ~x~\nsecond\u2028line \x00\u202e " + strings.Repeat("ä", 5000)
	n := notice(evil)
	n.Title, n.Source = evil, evil
	n.Items[0] = alarm.Item{
		Status: alarm.Status{Name: evil, Of: evil, State: alarm.State(evil), Reason: evil}, Severity: alarm.Severity(evil), Message: evil, Do: evil,
		Runbook: "javascript:alert(1)",
	}
	for range 60 {
		n.Items = append(n.Items, n.Items[0])
	}
	n.Items[1].Runbook = "https://example.com/a|b>c<!here>"
	n.Items[2].Runbook = "https://user:pass@example.com/"
	n.Items[3].Runbook = "https://example.com/?q=a|b>c"
	n.Items[4].Runbook = "javascript://example.com/%0aalert(1)"
	got := posted(t, n)
	if !strings.Contains(got.Blocks[4].Text.Text, "<https://example.com/?q=a%7Cb&gt;c|Runbook>") {
		t.Errorf("%q", got.Blocks[4].Text.Text)
	}
	if len(got.Blocks) > 50 {
		t.Errorf("%d blocks", len(got.Blocks))
	}
	if len([]rune(got.Blocks[0].Text.Text)) > 150 || !strings.Contains(got.Blocks[len(got.Blocks)-1].Elements[0].Text, "and 41 more") {
		t.Errorf("%+v", got.Blocks[0])
	}
	for _, b := range got.Blocks {
		if b.Type != "section" {
			continue
		}
		if len([]rune(b.Text.Text)) > 3000 {
			t.Errorf("%d characters", len([]rune(b.Text.Text)))
		}
		rest := strings.ReplaceAll(b.Text.Text, "<https://example.com/a%7Cb%3Ec%3C%21here%3E|Runbook>", "")
		rest = strings.ReplaceAll(rest, "<https://example.com/a%7Cb%3Ec%3C!here%3E|Runbook>", "")
		rest = strings.ReplaceAll(rest, "<https://example.com/?q=a%7Cb&gt;c|Runbook>", "")
		if strings.ContainsAny(rest, "<>`~") || strings.Contains(rest, "javascript") || strings.Contains(rest, "user:pass") {
			t.Errorf("%q", b.Text.Text[:300])
		}
	}
	if strings.ContainsAny(got.Text, "<>") || strings.Contains(got.Text, "\n") {
		t.Error(got.Text)
	}
}

func TestSlackFailures(t *testing.T) {
	var status atomic.Int32
	var answer atomic.Value
	var elsewhere atomic.Bool
	other := serve(t, true, func(http.ResponseWriter, *http.Request) { elsewhere.Store(true) })
	s := serve(t, true, func(w http.ResponseWriter, r *http.Request) {
		switch code := int(status.Load()); {
		case strings.HasSuffix(r.URL.Path, "hang"):
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // an answer now could still reach who has given up
		case code >= 300 && code < 400:
			http.Redirect(w, r, other.URL+r.URL.Path, code)
		default:
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(code)
			fmt.Fprint(w, answer.Load())
		}
	})
	slack := newSlack(t, s, "", 0)
	for _, tt := range []struct {
		status int32
		answer string
		final  bool
		text   string
	}{
		{429, "rate_limited", false, "429 rate_limited"},
		{500, "oh <b>no</b> " + canary, false, "500"},
		{503, "", false, "503"},
		{408, "", false, "408"},
		{404, "no_service", true, "404 no_service"},
		{410, "channel_is_archived", true, "channel_is_archived"},
		{400, "invalid_payload", true, "invalid_payload"},
		{403, "action_prohibited", true, "Check the incoming webhook"},
		{301, "", true, "redirects are not followed"},
		{307, "", true, "redirects are not followed"},
		{308, "", true, "redirects are not followed"},
	} {
		status.Store(tt.status)
		answer.Store(tt.answer)
		err := slack.Notify(t.Context(), notice("n"))
		want(t, fmt.Sprint(tt.status), err, tt.final, tt.text)
		if after := llm.AsError(err).RetryAfter; tt.status >= 400 && after != 30*time.Second {
			t.Errorf("%d: retry after %s", tt.status, after)
		}
	}
	if elsewhere.Load() {
		t.Error("a redirect was followed with the secret")
	}
	want(t, "hangs", newSlack(t, s, "hang", 100*time.Millisecond).Notify(t.Context(), notice("n")), false, "no answer from 127.0.0.1")
	strange, err := notify.NewSlack(notify.SlackConfig{URL: llm.Secret(s.URL + "/" + canary)})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "unknown authority", strange.Notify(t.Context(), notice("n")), false, "certificate")
	s.Close()
	want(t, "nobody there", slack.Notify(t.Context(), notice("n")), false, "no answer from")
}

func TestSlackFaults(t *testing.T) {
	for url, want := range map[string]string{
		"":                                       "url is missing",
		"http://hooks.slack.com/" + canary:       "url is not https",
		"hooks.slack.com/" + canary:              "not a URL with a host",
		"https:" + canary:                        "not a URL with a host",
		"https://%zz/" + canary:                  "not a URL with a host",
		"https://a:" + canary + "@example.com/x": "has a user",
		"https://example.com/#" + canary:         "has a user or a fragment",
	} {
		err := notify.SlackConfig{URL: llm.Secret(url)}.Validate()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%q: %v", url, err)
		}
	}
	err := notify.SlackConfig{Name: "a b", URL: "x", Timeout: -1}.Validate()
	for _, want := range []string{`name "a b"`, "url is not a URL", "timeout is negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no fault about %q in %v", want, err)
		}
	}
}

// A status that people read has no secret of a notifier that fails.
func TestStatusHasNoSecrets(t *testing.T) {
	s := serve(t, true, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	slack := newSlack(t, s, "", 0)
	hook := newWebhook(t, notify.WebhookConfig{URL: llm.Secret(s.URL + "/" + canary), Allow: []string{"127.0.0.1"}})
	var text bytes.Buffer
	d, err := notify.New(notify.Config{Notifiers: []alarm.Notifier{slack, hook}, Logger: slog.New(slog.NewTextHandler(&text, nil))})
	if err != nil {
		t.Fatal(err)
	}
	results := d.Test(t.Context(), "")
	shown, err := json.Marshal([]any{results, d.Status(), slack, hook})
	if err != nil || strings.Contains(string(shown)+text.String()+fmt.Sprintf("%v %+v %#v %v %+v %#v", slack, slack, slack, hook, hook, hook), canary) {
		t.Errorf("%v: %s", err, shown)
	}
	if results[0].OK || results[1].OK || d.Status()[0].LastError == "" {
		t.Errorf("%s", shown)
	}
}

func TestLog(t *testing.T) {
	var text bytes.Buffer
	l := notify.NewLog("", slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	n := notice("n-1")
	n.Items = append(n.Items, alarm.Item{Status: alarm.Status{Name: "queue-deep"}, Severity: alarm.Warning})
	over := notice("n-2")
	over.Resolved = true
	for _, each := range []alarm.Notice{n, over, {ID: "n-3"}} {
		if err := l.Notify(t.Context(), each); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], `level=ERROR msg="[CRITICAL] errors-high on chat" notice=n-1 alarm=errors-high of=chat state=firing`) ||
		!strings.HasPrefix(lines[1], "level=WARN") || !strings.HasPrefix(lines[2], `level=INFO msg="[RESOLVED]`) || !strings.HasPrefix(lines[3], "level=WARN") {
		t.Errorf("%s", text.String())
	}
	if l.Name() != "log" || notify.NewLog("ops", nil).Name() != "ops" {
		t.Error("names")
	}
}
