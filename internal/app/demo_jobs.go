package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/forebay-ai/forebay/provider/simulated"
)

// demoJob is what the gateway says of a job, as far as the demonstration looks at it.
type demoJob struct {
	ID, State string
	Attempt   int
	Error     struct { // of the attempt before
		Kind string `json:"error_type"`
	}
}

// outlast has a call taken in as a durable job while the provider is down, starts the
// gateway anew, and gets the answer from the new one.
func (d *demo) outlast(ctx context.Context) error {
	if err := d.upstream.SetFaults([]simulated.Fault{{Kind: simulated.FaultStatus, Status: 500}}); err != nil {
		return err
	}
	defer func() { _ = d.upstream.SetFaults(nil) }() // the empty list is always sound
	job, err := d.takeIn(ctx)
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	if err := d.startAnew(ctx, job); err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	if err := d.upstream.SetFaults(nil); err != nil {
		return err
	}
	if err := d.collect(ctx, job); err != nil {
		return fmt.Errorf("job's answer: %w", err)
	}
	return nil
}

// takeIn submits a job, and returns when the provider has failed it once.
func (d *demo) takeIn(ctx context.Context) (demoJob, error) {
	const body = `{"model":"demo","messages":[{"role":"user","content":"What outlasts a restart?"}]}`
	r, err := d.send(ctx, "/v1/chat/completions", body, http.Header{"Prefer": {"respond-async"}})
	if err != nil {
		return demoJob{}, err
	}
	var job demoJob
	if err := json.Unmarshal([]byte(r.body), &job); err != nil || r.status != http.StatusAccepted {
		return job, fmt.Errorf("status %d: %s", r.status, r.body)
	}
	d.rows = append(d.rows, demoRow{"durable job", "Prefer: respond-async", fmt.Sprintf("status %d, %s is on disk", r.status, job.ID), r.took})
	for start := time.Now(); job.State != "queued" || job.Attempt == 0; {
		if time.Since(start) > 5*time.Second {
			return job, fmt.Errorf("it is %s after attempt %d, and the provider is down", job.State, job.Attempt)
		}
		time.Sleep(5 * time.Millisecond)
		if job, err = d.job(ctx, job.ID, ""); err != nil {
			return job, err
		}
	}
	return job, nil
}

// startAnew stops the gateway, starts another one, and asks that for the job.
func (d *demo) startAnew(ctx context.Context, job demoJob) error {
	d.client.CloseIdleConnections()
	start := time.Now()
	if err := d.gateway.restart(ctx); err != nil {
		return err
	}
	took := time.Since(start)
	kept, err := d.job(ctx, job.ID, "")
	if err != nil {
		return err
	}
	said := fmt.Sprintf("job %s; attempt %d", kept.State, kept.Attempt)
	if kept.Error.Kind != "" {
		said += ": " + kept.Error.Kind
	}
	d.rows = append(d.rows, demoRow{"restart", "gateway stopped and started", said, took})
	return nil
}

// collect waits for the end of the job and fetches its answer.
func (d *demo) collect(ctx context.Context, job demoJob) error {
	start := time.Now()
	done, err := d.job(ctx, job.ID, "?wait=20s")
	if err != nil {
		return err
	}
	r, err := d.ask(ctx, http.MethodGet, "/v1/jobs/"+job.ID+"/result", "", nil)
	if err != nil {
		return err
	}
	d.rows = append(d.rows, demoRow{
		"job's answer", "provider mended",
		fmt.Sprintf("job %s by attempt %d; its result: status %d", done.State, done.Attempt, r.status), time.Since(start),
	})
	if done.State != "completed" || r.status != http.StatusOK {
		return fmt.Errorf("it is %s, its result has status %d: %s", done.State, r.status, r.body)
	}
	return nil
}

// job asks for a job by its id.
func (d *demo) job(ctx context.Context, id, query string) (job demoJob, err error) {
	r, err := d.ask(ctx, http.MethodGet, "/v1/jobs/"+id+query, "", nil)
	if err != nil {
		return job, err
	}
	if err := json.Unmarshal([]byte(r.body), &job); err != nil || r.status != http.StatusOK {
		return job, fmt.Errorf("%s: status %d: %s", id, r.status, r.body)
	}
	return job, nil
}
