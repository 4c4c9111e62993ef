package gateway_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
)

// FuzzControls reads request headers. Whatever they say, the answer is yes or a
// refusal that names the header and what to do, and it does not depend on the
// order of a map.
func FuzzControls(f *testing.F) {
	for _, seed := range [][2]string{
		{"Cache-Control", `no-cache, max-age="60",,only-if-cached`},
		{"X-Forebay-Timeout", "1h30m"},
		{"X-Forebay-Timeout", "1e9"},
		{"X-Forebay-Cache-Ttl", "0x10"},
		{"X-Forebay-Priority", "HIGH"},
		{"X-Forebay-User", "Jürgen"},
		{"X-Forebay-Persona", "\xff"},
		{"X-Forebay-Cache", "off"},
		{"X-Forebay-Fallback", "deny"},
		{"X-Forebay-Nothing", ""},
	} {
		f.Add(seed[0], seed[1], "X-Forebay-Priority", "low")
	}
	f.Fuzz(func(t *testing.T, name, value, name2, value2 string) {
		h := http.Header{}
		h.Add(name, value)
		h.Add(name2, value2)
		err := gateway.ReadControls(h)
		again := gateway.ReadControls(h)
		if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Fatalf("%v, then %v", err, again)
		}
		if err == nil {
			return
		}
		e := llm.AsError(err)
		if e.Kind != llm.CallerInvalidRequest || e.Param == "" || e.Fix == "" || len(e.Text()) > 1200 || !utf8.ValidString(e.Text()) {
			t.Fatalf("%+v", e)
		}
	})
}

// FuzzOperation reads the body of an operation. A body that is accepted becomes a
// chat that the dialect accepts, and the same one when it is read again in another
// spelling.
func FuzzOperation(f *testing.F) {
	for _, seed := range []string{
		`{"payload":{"b":1,"a":[1.0,1e2]},"userId":"u","personaType":"p","priority":"low","timeoutMs":5,"requestId":"r","model":"m"}`,
		`{"payload":null}`, `{"payload":"\ud83d\ude00"}`, `{"payload":"\ud83d"}`, `{"payload":1,"payload":2}`, `{"payload":1e999}`,
		`[]`, `{"userId":1}`, `{"payload":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "\xef\xbb\xbf{}", ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := slices.Clone(body)
		chat, err := gateway.ReadOperation(body)
		if !bytes.Equal(body, before) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			e := llm.AsError(err)
			if e.Kind != llm.CallerInvalidRequest || e.Message == "" || len(e.Text()) > 4096 {
				t.Fatalf("%+v", e)
			}
			return
		}
		if !jsontext.Value(chat).IsValid() {
			t.Fatalf("%q is no JSON", chat)
		}
		if _, err := openai.ParseChat(chat); err != nil && llm.AsError(err).Param != "model" {
			t.Fatalf("%s: %v", chat, err)
		}
		spelled := jsontext.Value(slices.Clone(body))
		if err := spelled.Indent(); err != nil {
			t.Fatal(err)
		}
		if again, err := gateway.ReadOperation(spelled); err != nil || !bytes.Equal(chat, again) {
			t.Fatalf("%s, then %s: %v", chat, again, err)
		}
	})
}

// FuzzTraceParent gives back a valid traceparent whatever came in.
func FuzzTraceParent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("ff-")
	f.Fuzz(func(t *testing.T, inbound string) {
		out := gateway.TraceParent(inbound)
		if again := gateway.TraceParent(out); again[:36] != out[:36] || again[52:] != out[52:] {
			t.Fatalf("%q gives %q, which is not continued: %q", inbound, out, again)
		}
	})
}
