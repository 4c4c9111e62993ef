package telemetry_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/telemetry"
)

func ExampleStart() {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
	}))
	defer collector.Close()

	x, err := telemetry.Start(context.Background(), telemetry.Config{Endpoint: collector.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	x.Call(&monitor.Call{Model: "haiku", Outcome: monitor.OK, Duration: time.Second})
	x.Observe(&requestlog.Entry{Start: time.Now(), Model: "haiku", Duration: time.Second},
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "")
	fmt.Println(x.Close(context.Background()))
	// Unordered output:
	// POST /v1/metrics
	// POST /v1/traces
	// <nil>
}
