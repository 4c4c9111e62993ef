package awslambda

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/llm"
)

// operation answers {"operation": …, "payload": …, …}: the other members are those of
// the body of POST /v1/operations/{operation}, and the answer is {"statusCode": …,
// "body": "…"} with the operation's result as text, as the specification's handler has it.
func (f *Function) operation(ctx context.Context, m members) (*reply, error) {
	r, err := operationRequest(ctx, m)
	if err != nil {
		return nil, err
	}
	if key := f.cfg.Key.Reveal(); key != "" {
		r.header.Set("Authorization", "Bearer "+key)
	}
	f.complete(ctx, r)
	return f.whole(ctx, r)
}

func operationRequest(ctx context.Context, m members) (*request, error) {
	name := m.text("operation")
	if name == "" || strings.Contains(name, "/") {
		return nil, malformed("the member operation is not the name of an operation", nil)
	}
	if _, ok := m["payload"]; !ok {
		return nil, malformed("the event has an operation and no payload", nil)
	}
	r := &request{shape: Operation, method: http.MethodPost, host: "lambda", remote: "127.0.0.1", header: http.Header{
		"Content-Type": {"application/json"},
	}}
	r.url.Path = operationsPath + name
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		r.id = lc.AwsRequestID
		r.header.Set("X-Request-Id", lc.AwsRequestID)
	}
	body := map[string]jsontext.Value(maps.Clone(m))
	delete(body, "operation")
	var err error
	if r.body, err = json.Marshal(body, json.Deterministic(true)); err != nil {
		return nil, malformed("the event is not well formed", err)
	}
	return r, nil
}

// worked answers an event that asked for work. A stream's records that are not in
// batchItemFailures are done with.
type worked struct {
	Forebay struct {
		Work Jobs `json:"work"`
	} `json:"forebay"`
	Failures []struct{} `json:"batchItemFailures"`
}

// work runs durable jobs for as long as the invocation may last.
func (f *Function) work(ctx context.Context) (*reply, error) {
	if f.cfg.Work == nil {
		return nil, &llm.Error{
			Kind: llm.ForebayUnavailable, Message: "there are no durable jobs to work on: no store for them is configured",
			Fix: "Configure a store, or send this event to the function that has one.",
		}
	}
	ctx, cancel := within(ctx, f.cfg.Margin)
	defer cancel()
	done, err := f.cfg.Work(ctx)
	if err != nil {
		return nil, llm.AsError(err)
	}
	answer := worked{Failures: []struct{}{}}
	answer.Forebay.Work = done
	return answerJSON(answer)
}

func answerJSON(v any) (*reply, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, &llm.Error{Kind: llm.ForebayInternal, Message: "the answer has no form for Lambda", Err: err}
	}
	return whole(body), nil
}

// record is what is read of a stream's record.
type record struct {
	Name     string `json:"eventName"`
	DynamoDB struct {
		NewImage map[string]jsontext.Value `json:"NewImage"`
	} `json:"dynamodb"`
}

// statusAttribute of an item says what state its job is in; jobs that are not queued
// are nothing to do.
const statusAttribute = "status"

// wakes says that the record may be of a job that waits. The worker's own changes come
// back as records, and must not keep it going.
func (r *record) wakes() bool {
	if r.Name == "REMOVE" {
		return false
	}
	v, ok := r.DynamoDB.NewImage[statusAttribute]
	if !ok {
		return len(r.DynamoDB.NewImage) == 0 // a stream of keys does not tell
	}
	var attribute map[string]string
	return json.Unmarshal(v, &attribute) != nil || slices.Contains([]string{"", "queued"}, attribute["S"])
}

// records works where one of a stream's records may be of a job that waits.
func (f *Function) records(ctx context.Context, list jsontext.Value) (*reply, error) {
	var all []record
	if err := json.Unmarshal(list, &all); err != nil {
		return nil, malformed("the records of the stream cannot be read", err)
	}
	if slices.ContainsFunc(all, func(r record) bool { return r.wakes() }) {
		return f.work(ctx)
	}
	return answerJSON(worked{Failures: []struct{}{}})
}
