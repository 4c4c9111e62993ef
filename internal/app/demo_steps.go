package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/forebay-ai/forebay/provider/simulated"
)

// demo sends the demonstration's load and keeps what came back.
type demo struct {
	gateway  *demoGateway
	upstream *simulated.Provider
	client   *http.Client
	rows     []demoRow
}

// demoRow is one line of the table: what was done, and what the answer said.
type demoRow struct {
	effect, sent, said string
	took               time.Duration
}

// reply is an answer of the gateway.
type reply struct {
	status int
	header http.Header
	body   string
	took   time.Duration
}

// run shows the effects, one after the other. The error says which of them did not show.
func (d *demo) run(ctx context.Context) error {
	var failed []error
	for _, step := range []func(context.Context) error{d.missAndHit, d.wait, d.outlast, d.breakAndFallBack, d.recover} {
		if err := step(ctx); err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(failed...)
}

// missAndHit asks the same question three times: once of the model, once of the
// cache, and once of the cache as a stream.
func (d *demo) missAndHit(ctx context.Context) error {
	const question = `"messages":[{"role":"user","content":"What is a forebay?"}]`
	asks := []struct{ effect, sent, body, want string }{
		{"miss", "a question", `{"model":"demo",` + question + `}`, "fwd=uri-miss"},
		{"hit", "the same again", `{"model":"demo",` + question + `}`, "hit"},
		{"hit", "the same, streamed", `{"model":"demo","stream":true,` + question + `}`, "hit"},
	}
	for _, a := range asks {
		r, err := d.send(ctx, "/v1/chat/completions", a.body, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", a.effect, err)
		}
		said := r.header.Get("Cache-Status")
		d.rows = append(d.rows, demoRow{a.effect, a.sent, said, r.took})
		if r.status != http.StatusOK || !strings.Contains(said, a.want) {
			return fmt.Errorf("%s: status %d, Cache-Status %q", a.effect, r.status, said)
		}
	}
	return nil
}

// demoBands are the bands of the burst, from the first to be served to the last.
var demoBands = [...]string{"critical", "normal", "low"}

// wait takes both slots and sends a burst of nine calls, in all bands at once.
func (d *demo) wait(ctx context.Context) error {
	if err := d.upstream.SetFaults([]simulated.Fault{{Kind: simulated.FaultDelay, Wait: demoServiceTime}}); err != nil {
		return err
	}
	defer func() { _ = d.upstream.SetFaults(nil) }() // the empty list is always sound
	var mu sync.Mutex                                // guards waits and failed
	waits := map[string][]time.Duration{}
	var failed error
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range demoSlots {
		wg.Go(func() { _, _ = d.waitOne(ctx, 100+i, "normal") }) // what goes wrong here shows in the burst
	}
	for start := time.Now(); d.upstream.Calls().InFlight < demoSlots && time.Since(start) < time.Second; {
		time.Sleep(time.Millisecond)
	}
	for i := range 3 * len(demoBands) {
		band := demoBands[len(demoBands)-1-i%len(demoBands)] // the last to be served come first
		wg.Go(func() {
			waited, err := d.waitOne(ctx, i, band)
			mu.Lock()
			defer mu.Unlock()
			waits[band] = append(waits[band], waited)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	if failed != nil {
		return failed
	}
	longest := d.showWaits(waits)
	if longest == 0 {
		return errors.New("wait: nobody waited")
	}
	return nil
}

// waitOne sends one call of the burst and says how long it waited for a slot.
func (d *demo) waitOne(ctx context.Context, n int, band string) (time.Duration, error) {
	body := fmt.Sprintf(`{"model":"demo","messages":[{"role":"user","content":"Burst question %d"}]}`, n)
	r, err := d.send(ctx, "/v1/chat/completions", body, http.Header{"X-Forebay-Priority": {band}})
	if err != nil {
		return 0, fmt.Errorf("wait: a call of band %s: %w", band, err)
	}
	if r.status != http.StatusOK {
		return 0, fmt.Errorf("wait: a call of band %s got status %d: %s", band, r.status, r.body)
	}
	return time.ParseDuration(r.header.Get("X-Forebay-Queue-Ms") + "ms")
}

// showWaits adds a row for each band and gives the longest wait of all.
func (d *demo) showWaits(waits map[string][]time.Duration) (longest time.Duration) {
	for _, band := range demoBands {
		sum := time.Duration(0)
		for _, w := range waits[band] {
			sum += w
		}
		most := slices.Max(waits[band])
		longest = max(longest, most)
		d.rows = append(d.rows, demoRow{
			"wait", fmt.Sprintf("%d calls, %s, at once", len(waits[band]), band),
			fmt.Sprintf("waited %d ms on average, %d ms at most", sum.Milliseconds()/int64(len(waits[band])), most.Milliseconds()), 0,
		})
	}
	return longest
}

// breakAndFallBack lets the provider fail until the breaker opens.
func (d *demo) breakAndFallBack(ctx context.Context) error {
	if err := d.upstream.SetFaults([]simulated.Fault{{Kind: simulated.FaultStatus, Status: 500}}); err != nil {
		return err
	}
	var last reply
	opened := 0
	for i := 1; i <= 8; i++ {
		var err error
		if last, err = d.operation(ctx, i); err != nil {
			return fmt.Errorf("breaker: %w", err)
		}
		if opened == 0 && last.header.Get("X-Forebay-Attempts") == "0" {
			opened = i
		}
	}
	if opened == 0 {
		return errors.New("breaker: it did not open")
	}
	d.rows = append(d.rows,
		demoRow{"breaker opens", "provider set to answer 500", fmt.Sprintf("open from call %d on; no call reaches it", opened), 0},
		demoRow{"fallback", "operation vc-analysis", fmt.Sprintf("status %d, x-forebay-fallback: %s, degradation %s",
			last.status, last.header.Get("X-Forebay-Fallback"), last.header.Get("X-Forebay-Degradation")), last.took})
	if last.header.Get("X-Forebay-Fallback") != "template" {
		return fmt.Errorf("fallback: status %d, headers %v", last.status, last.header)
	}
	return nil
}

// recover mends the provider. The breaker stays open for its time.
func (d *demo) recover(context.Context) error {
	if err := d.upstream.SetFaults(nil); err != nil {
		return err
	}
	d.rows = append(d.rows, demoRow{"recovery", "provider mended", "probes pass in 10 s; three of them close it", 0})
	return nil
}

// operation runs one of the specification's operations.
func (d *demo) operation(ctx context.Context, n int) (reply, error) {
	body := fmt.Sprintf(`{"payload":{"businessName":"Test Restaurant %d","location":"Munich"},"userId":"user-456","personaType":"Der Profi"}`, n)
	return d.send(ctx, "/v1/operations/vc-analysis", body, nil)
}

// send posts body to the gateway and reads the answer.
func (d *demo) send(ctx context.Context, path, body string, header http.Header) (reply, error) {
	return d.ask(ctx, http.MethodPost, path, body, header)
}

// ask sends any request to the gateway and reads the answer.
func (d *demo) ask(ctx context.Context, method, path, body string, header http.Header) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, d.gateway.server.URL()+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	start := time.Now()
	res, err := d.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(answer), time.Since(start)}, err
}

// print shows what happened as a table.
func (d *demo) print(w io.Writer) error {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"what", "sent", "what the answer said", "took"})
	for _, r := range d.rows {
		took := ""
		if r.took > 0 {
			took = fmt.Sprintf("%.1f ms", float64(r.took)/float64(time.Millisecond))
		}
		t.AppendRow(table.Row{r.effect, r.sent, r.said, took})
	}
	_, err := fmt.Fprintf(w, "\n%s\n", t.Render())
	return err
}

// where says where to look and what to try.
func (d *demo) where(w io.Writer, upstream string) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `
  gateway   %[1]s/v1            OpenAI's protocol; no key is needed on this machine
  dashboard %[1]s/ui/           what happened above, in a browser
  health    %[1]s/v1/health
  metrics   %[1]s/metrics
  jobs      %[1]s/v1/jobs           durable while this runs; then their directory is removed
  upstream  %[2]s/simulated/calls   the simulated provider's own log

Try:
  curl -si %[1]s/v1/chat/completions -H 'content-type: application/json' \
    -d '{"model":"demo","messages":[{"role":"user","content":"Hello"}]}'

Break it, and mend it:
  curl -X PUT %[2]s/simulated/faults -d %[3]s
  curl -X DELETE %[2]s/simulated/faults

Ctrl-C ends it.
`, d.gateway.server.URL(), upstream, shellQuoted([]string{"status=500,share=0.5"}))
	_, _ = w.Write(b.Bytes())
}

// shellQuoted is v as JSON in single quotes. Nothing shown here contains one.
func shellQuoted(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "''"
	}
	return "'" + string(b) + "'"
}
