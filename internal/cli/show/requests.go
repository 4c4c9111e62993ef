package show

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/requestlog"
)

// Requests writes a page of the log of calls, newest first.
func Requests(w io.Writer, list *console.RequestList) error {
	if len(list.Data) == 0 {
		_, err := fmt.Fprintln(w, "No call in the log fits.")
		return err
	}
	t := newTable(8, "seq", "at", "operation", "model", "user", "outcome", "cache", "took", "first token", "tokens", "USD")
	for i := range list.Data {
		e := &list.Data[i]
		t.AppendRow([]any{
			e.Seq, e.Start.Local().Format("01-02 15:04:05.000"), Clean(e.Operation), dash(e.Model), dash(e.User), outcome(e), dash(e.Cache),
			short(e.Duration), short(e.FirstToken), count(e.Usage.Input + e.Usage.Output + e.Usage.CacheRead + e.Usage.CacheWrite), money(e.MicroUSD, 1),
		})
	}
	if err := write(w, t); err != nil {
		return err
	}
	if list.Next == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "more with --before %d\n", list.Next)
	return err
}

func outcome(e *requestlog.Entry) string {
	text := e.Outcome
	if e.ErrorType != "" {
		text += ", " + string(e.ErrorType)
	}
	if e.Fallback != "" {
		text += ", " + e.Fallback
	}
	return Clean(text)
}

// words are those texts that there are, with blanks between; a dash for none.
func words(texts ...string) string {
	return dash(strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), " "))
}

// Request writes one call: what it was, where the time went, its attempts.
func Request(w io.Writer, e *requestlog.Entry) error {
	lines := [][2]string{
		{"id", dash(e.ID)},
		{"at", e.Start.Local().Format(time.RFC3339Nano)},
		{"tenant, user, key", dash(e.Tenant) + ", " + dash(e.User) + ", " + dash(e.Key)},
		{"operation, model", dash(e.Operation) + ", " + dash(e.Model)},
		{"answered by", words(e.Provider, e.Answered, e.Region)},
		{"outcome", outcome(e)},
		{"cache", words(e.Cache, e.CacheReason, e.CacheDetail)},
		{"took", short(e.Duration) + " (cache " + short(e.Lookup) + ", queue " + short(e.Queue) + ", upstream " + short(e.Upstream) + ", Forebay " + short(e.Overhead) + ")"},
		{"first token", short(e.FirstToken)},
		{"tokens", fmt.Sprintf("%d in, %d out, %d read from and %d written to the provider's cache", e.Usage.Input, e.Usage.Output, e.Usage.CacheRead, e.Usage.CacheWrite)},
		{"cost", money(e.MicroUSD, 1) + " USD, saved " + money(e.SavedMicroUSD, 1)},
	}
	for _, l := range lines {
		if _, err := fmt.Fprintf(w, "%-18s %s\n", l[0], Clean(l[1])); err != nil {
			return err
		}
	}
	if len(e.Attempts) == 0 {
		return nil
	}
	t := newTable(2, "attempt", "began after", "waited", "took", "first token", "")
	for _, a := range e.Attempts {
		t.AppendRow([]any{Clean(a.Target), short(a.Start), short(a.Waited), short(a.Duration), short(a.FirstToken), dash(string(a.ErrorType))})
	}
	return write(w, t)
}
