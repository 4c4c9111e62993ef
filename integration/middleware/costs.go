package middleware

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// costHeader and callsHeader tell what the request's calls cost, in dollars, and how many
// they were.
const (
	costHeader  = "X-Forebay-Cost-Usd"
	callsHeader = "X-Forebay-Calls"
)

// account is what the calls of one request cost.
type account struct{ micro, calls atomic.Int64 }

type accountKey struct{}

// Book adds what a call cost, in millionths of a dollar (forebay.Meta.CostMicroUSD), to the
// account of the request whose handler made it. Outside of Costs it does nothing. It may be called
// concurrently.
func Book(ctx context.Context, microUSD int64) {
	if a, ok := ctx.Value(accountKey{}).(*account); ok {
		a.micro.Add(max(microUSD, 0))
		a.calls.Add(1)
	}
}

// Costs sets the headers x-forebay-cost-usd and x-forebay-calls to what was booked for the
// request (Book) when the head is written. What is booked later, as of a stream, comes in
// trailers of the same names, for callers who read those.
func Costs(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &account{}
		c := &costWriter{ResponseWriter: w, account: a}
		next.ServeHTTP(c, r.WithContext(context.WithValue(r.Context(), accountKey{}, a)))
		if !c.begun {
			c.begin()
			return
		}
		if a.calls.Load() != c.told { // http.TrailerPrefix needs no announcement
			w.Header().Set(http.TrailerPrefix+costHeader, dollars(a.micro.Load()))
			w.Header().Set(http.TrailerPrefix+callsHeader, strconv.FormatInt(a.calls.Load(), 10))
		}
	})
}

// costWriter sets the headers when the head is written.
type costWriter struct {
	http.ResponseWriter
	account *account
	begun   bool
	told    int64 // calls that the head tells of
}

func (w *costWriter) begin() {
	if w.begun {
		return
	}
	w.begun = true
	if w.told = w.account.calls.Load(); w.told > 0 {
		w.Header().Set(costHeader, dollars(w.account.micro.Load()))
		w.Header().Set(callsHeader, strconv.FormatInt(w.told, 10))
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *costWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.begin()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *costWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (w *costWriter) Flush() {
	w.begin()
	_ = http.NewResponseController(w.ResponseWriter).Flush() // who cannot flush does not
}

// Unwrap is for http.ResponseController.
func (w *costWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// dollars is an amount in millionths of a dollar as a decimal number of dollars.
func dollars(micro int64) string {
	text := strconv.FormatInt(micro/1e6, 10)
	if rest := micro % 1e6; rest > 0 {
		text += "." + strings.TrimRight(strconv.FormatInt(1e6+rest, 10)[1:], "0")
	}
	return text
}
