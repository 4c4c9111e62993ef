package jobs_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/store/storetest"
)

// A job from its submission to its result. The store is one in memory; a real one is
// made by the configuration.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	master, _ := envelope.NewMaster()
	keys, _ := envelope.New(ctx, envelope.Config{Masters: []envelope.Master{master}, Keys: storetest.NewMemory()})

	q, err := jobs.New(ctx, jobs.Config{
		Store: storetest.NewBacklog(), Keys: keys,
		Handler: func(_ context.Context, t *jobs.Task) ([]byte, error) {
			return []byte(strings.ToUpper(string(t.Payload))), nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error)
	go func() { ended <- q.Run(ctx) }()

	job, created, err := q.Submit(ctx, jobs.Submission{Tenant: "acme", User: "u", Payload: []byte("hello")})
	fmt.Println(job.State, created, err) // it is durable now

	as := jobs.As{Tenant: "acme"}
	job, _ = q.Wait(ctx, as, job.ID)
	_, result, err := q.Result(ctx, as, job.ID)
	fmt.Println(job.State == backlog.Completed, string(result), err)

	stop()
	fmt.Println(<-ended)
	// Output:
	// queued true <nil>
	// true HELLO <nil>
	// <nil>
}
