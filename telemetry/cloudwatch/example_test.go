package cloudwatch_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch"
)

// On Lambda a Sink writes lines to standard output, and is flushed after each invocation.
func Example() {
	var stdout bytes.Buffer // os.Stdout
	sink, err := cloudwatch.New(cloudwatch.Config{Writer: &stdout, Dimensions: map[string]string{"FunctionName": "voice-learning"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := monitor.New(monitor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	m.Attach(sink)
	m.Record(&monitor.Call{Operation: "chat", Outcome: monitor.OK, Duration: 1500 * time.Millisecond, Cache: "miss"})
	if err := sink.Flush(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(strings.Count(stdout.String(), "\n"), "lines;", strings.Contains(stdout.String(), `"ResponseTime":1500`))
	// Output: 2 lines; true
}
