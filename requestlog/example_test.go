package requestlog_test

import (
	"context"
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/requestlog"
)

func Example() {
	l := requestlog.New(requestlog.Config{}) // the last 1,000 calls, in memory
	l.Add(&requestlog.Entry{ID: "req_1", Operation: "chat", Outcome: "ok", Duration: 900 * time.Millisecond})
	l.Add(&requestlog.Entry{ID: "req_2", Operation: "vc-analysis", Outcome: "error", ErrorType: "provider_timeout", Duration: 30 * time.Second})

	page, err := l.Page(context.Background(), requestlog.Query{Filter: requestlog.Filter{Failed: true}, Limit: 10})
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range page.Entries {
		fmt.Println(e.Seq, e.ID, e.Operation, e.ErrorType, e.Duration)
	}
	// Output: 2 req_2 vc-analysis provider_timeout 30s
}
