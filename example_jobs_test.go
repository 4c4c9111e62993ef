package forebay_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/store/storetest"
)

// A call that outlasts the process it was made in. The store here is one for tests, in
// memory: a program takes store and keys from package config (File.OpenStores and
// Stores.Attach), and a provider of package provider/openai.
func ExampleClient_Submit() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	master, err := envelope.NewMaster()
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := envelope.New(ctx, envelope.Config{Masters: []envelope.Master{master}, Keys: storetest.NewMemory()})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"script": llmtest.Script(llmtest.OK("Water before the turbine."))},
		Models:    map[string]forebay.Model{"m": {Targets: []forebay.Target{{Provider: "script"}}}},
		Jobs:      forebay.Jobs{Store: storetest.NewBacklog(), Keys: keys, Dialects: []llm.Dialect{llmtest.Dialect{}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }() // it makes the calls

	job, err := client.Submit(ctx, &llm.Request{
		Tenant: "acme", User: "ada", Model: "m", Priority: llm.Low,
		Endpoint: llm.Chat, Dialect: llmtest.Dialect{}, Body: []byte("What is a forebay?"),
	})
	fmt.Println(job.State, err) // it is on disk: whoever starts next would go on with it

	as := jobs.As{Tenant: job.Tenant}
	job, err = client.Jobs().Wait(ctx, as, job.ID)
	fmt.Println(job.State, job.Attempt, err)
	res, _, err := client.JobResult(ctx, as, job.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(llmtest.Text(res.Body), res.Meta.Provider)

	fmt.Println(client.Close(ctx))
	stop()
	fmt.Println(<-ended)
	// Output:
	// queued <nil>
	// completed 1 <nil>
	// Water before the turbine. script
	// <nil>
	// <nil>
}

// An operation whose jobs a function of the program's own does: no model takes part.
// A program takes store and keys from package config (File.OpenStores and
// Stores.Attach); those here are for tests, in memory.
func ExampleClient_Handle() {
	type order struct{ Picture string }
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	master, err := envelope.NewMaster()
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := envelope.New(ctx, envelope.Config{Masters: []envelope.Master{master}, Keys: storetest.NewMemory()})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := forebay.New(forebay.Config{
		Operations: map[string]forebay.Operation{"thumbnail": {}},
		Jobs:       forebay.Jobs{Store: storetest.NewBacklog(), Keys: keys},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = client.Handle("thumbnail", func(_ context.Context, job backlog.Job, payload []byte) ([]byte, error) {
		var o order
		if err := json.Unmarshal(payload, &o); err != nil {
			return nil, llm.Errorf(llm.CallerInvalidRequest, "the order: %v", err) // not repeated, as other errors are
		}
		return json.Marshal("small " + o.Picture + " for " + job.User)
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()

	task := forebay.Task[order]{Operation: "thumbnail", Tenant: "acme", User: "ada", Payload: order{"cat.png"}}
	job, created, err := forebay.SubmitTask(ctx, client, task, forebay.JobOptions{IdempotencyKey: "order-4711"})
	fmt.Println(job.State, created, err)
	again, created, err := forebay.SubmitTask(ctx, client, task, forebay.JobOptions{IdempotencyKey: "order-4711"})
	fmt.Println(again.ID == job.ID, created, err)

	as := jobs.As{Tenant: "acme"}
	if job, err = client.Jobs().Wait(ctx, as, job.ID); err != nil {
		fmt.Println(err)
		return
	}
	res, _, err := client.JobResult(ctx, as, job.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(job.State, string(res.Body))

	fmt.Println(client.Close(ctx))
	stop()
	fmt.Println(<-ended)
	// Output:
	// queued true <nil>
	// true false <nil>
	// completed "small cat.png for ada"
	// <nil>
	// <nil>
}
