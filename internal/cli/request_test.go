package cli_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func request(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) > 2, "request STATUS METHOD URL [BODY [HEADER...]]")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	res, body := ask(ctx, ts, args[1:]...)
	defer res.Body.Close()
	text, err := io.ReadAll(body)
	ts.Check(err)
	out := ts.Stdout()
	for _, name := range slices.Sorted(maps.Keys(res.Header)) {
		fmt.Fprintf(out, "%s: %s\n", name, strings.Join(res.Header[name], ", "))
	}
	fmt.Fprintf(out, "\n%s\n", text)
	if status := strconv.Itoa(res.StatusCode); status != args[0] {
		ts.Fatalf("%s %s: status %s, want %s\n%s", args[1], args[2], status, args[0], text)
	}
}

func hold(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "hold URL BODY")
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	res, body := ask(ctx, ts, "POST", args[0], args[1])
	ts.Defer(func() {
		cancel()
		_ = res.Body.Close()
	})
	if _, err := io.ReadFull(body, make([]byte, 1)); err != nil || res.StatusCode != http.StatusOK {
		ts.Fatalf("no stream from %s: %s %v", args[0], res.Status, err)
	}
}

// ask sends METHOD URL [BODY [HEADER...]]. The connection is for this request
// alone, so that nothing is left open.
func ask(ctx context.Context, ts *testscript.TestScript, args ...string) (*http.Response, io.Reader) {
	var body io.Reader = http.NoBody
	if len(args) > 2 {
		body = strings.NewReader(args[2])
	}
	req, err := http.NewRequestWithContext(ctx, args[0], args[1], body)
	ts.Check(err)
	for i := 3; i < len(args); i++ {
		name, value, _ := strings.Cut(args[i], ": ")
		req.Header.Set(name, value)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: 20 * time.Second}}
	res, err := client.Do(req)
	ts.Check(err)
	return res, res.Body
}
