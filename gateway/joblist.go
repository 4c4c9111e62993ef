package gateway

import (
	"fmt"
	"net/http"
	"time"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/webhook"
)

// JobList is the answer to GET /v1/jobs: a page, newest first unless asked otherwise.
type JobList struct {
	Object  string      `json:"object"` // list
	Data    []jobs.View `json:"data"`
	HasMore bool        `json:"has_more"`
	// Next is what the parameter after has to be for the next page.
	Next string `json:"next,omitempty"`
}

// listJobs serves GET /v1/jobs.
func (g *Gateway) listJobs(x *visit) error {
	if g.jobs == nil {
		return errNoJobs
	}
	query, err := form.ReadList(x.r.URL.RawQuery)
	if err != nil {
		return err
	}
	if err := x.ownJobs(&query); err != nil {
		return err
	}
	limit := query.Limit
	query.Limit++ // one more tells whether there are more
	found, err := g.jobs.List(x.r.Context(), x.asker(), query)
	if err != nil {
		return err
	}
	list := JobList{Object: "list", Data: make([]jobs.View, 0, min(len(found), limit))}
	for i := range found[:min(len(found), limit)] {
		list.Data = append(list.Data, g.jobs.View(&found[i]))
	}
	if len(found) > limit {
		list.HasMore, list.Next = true, found[limit-1].ID.String()
	}
	return x.answerJSON(http.StatusOK, list)
}

// ownJobs keeps a query within what the key may see.
func (x *visit) ownJobs(query *backlog.Query) error {
	if x.grant.Allows(access.Admin) {
		return nil
	}
	if query.Tenant != nil && *query.Tenant != x.grant.Tenant {
		return &llm.Error{
			Kind: llm.CallerForbidden, Param: "tenant",
			Message: fmt.Sprintf("the key %q reaches jobs of its own tenant %q only", x.grant.Name, x.grant.Tenant),
			Limit:   "keys." + x.grant.Name + ".scopes", Value: fmt.Sprint(x.grant.Scopes),
			Fix: "Leave tenant out, or use a key that has the scope " + access.Admin + ".",
		}
	}
	query.Tenant = &x.grant.Tenant
	return nil
}

// purgeJobs serves POST /v1/jobs/purge.
func (g *Gateway) purgeJobs(x *visit) error {
	body, err := g.jobsBody(x)
	if err != nil {
		return err
	}
	query, err := form.ReadPurge(body, time.Now())
	if err != nil {
		return err
	}
	if err := x.ownJobs(&query); err != nil {
		return err
	}
	n, err := g.jobs.Purge(x.r.Context(), x.asker(), query)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, struct {
		Removed int `json:"removed"`
	}{n})
}

// jobsBody reads the body of a route that is about many jobs.
func (g *Gateway) jobsBody(x *visit) ([]byte, error) {
	if g.jobs == nil {
		return nil, errNoJobs
	}
	if _, err := form.Query(x.r.URL.RawQuery); err != nil {
		return nil, err
	}
	return x.readJSON()
}

// pauseJobs serves POST /v1/jobs/pause. An operation that is not configured is
// refused: to pause one by a misspelt name would look as if it had worked.
func (g *Gateway) pauseJobs(x *visit) error {
	return g.switchJobs(x, true)
}

// resumeJobs serves POST /v1/jobs/resume, for operations that are gone from the
// configuration too.
func (g *Gateway) resumeJobs(x *visit) error {
	return g.switchJobs(x, false)
}

func (g *Gateway) switchJobs(x *visit, pause bool) error {
	body, err := g.jobsBody(x)
	if err != nil {
		return err
	}
	operation, err := form.ReadSwitch(body)
	if err != nil {
		return err
	}
	if _, known := g.catalog.Operation(operation); pause && operation != "" && !known {
		return unknownOperation(operation, g.catalog.Operations())
	}
	turn := g.jobs.Resume
	if pause {
		turn = g.jobs.Pause
	}
	if err := turn(x.r.Context(), x.asker(), operation); err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, struct {
		Operation string `json:"operation"`
		Paused    bool   `json:"paused"`
	}{operation, pause})
}

// jobStats serves GET /v1/jobs/stats.
func (g *Gateway) jobStats(x *visit) error {
	if g.jobs == nil {
		return errNoJobs
	}
	if _, err := form.Query(x.r.URL.RawQuery); err != nil {
		return err
	}
	stats, err := g.jobs.Stats(x.r.Context(), x.asker())
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, stats)
}

// webhookSecret serves GET /v1/jobs/webhook-secret.
func (g *Gateway) webhookSecret(x *visit) error {
	if g.jobs == nil {
		return errNoJobs
	}
	if _, err := form.Query(x.r.URL.RawQuery); err != nil {
		return err
	}
	if g.cfg.WebhookSecret == nil {
		return &llm.Error{Kind: llm.ForebayUnavailable, Message: "this gateway sends no webhooks", Fix: "Ask for the job with ?wait=, or follow its events."}
	}
	x.set("Cache-Control", "no-store")
	return x.answerJSON(http.StatusOK, struct {
		Secret string `json:"secret"`
	}{webhook.Secret(g.cfg.WebhookSecret(x.grant.Tenant))})
}
