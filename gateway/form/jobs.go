package form

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
)

// Submission is the body of POST /v1/jobs. The first four members are those of a line
// in OpenAI's batch files.
type Submission struct {
	CustomID string         `json:"custom_id"`
	Method   string         `json:"method"` // POST, or nothing
	URL      string         `json:"url"`    // of the endpoint
	Body     jsontext.Value `json:"body"`   // as the endpoint takes it

	Webhook   string `json:"webhook"`
	Retention string `json:"retention"`
	// Keep is Retention, read; zero where it is not there.
	Keep time.Duration `json:"-"`
}

// ReadSubmission reads body. What stands in its url and body is for their endpoint.
func ReadSubmission(body []byte) (Submission, error) {
	var in Submission
	if err := Unmarshal(body, &in); err != nil {
		return in, err
	}
	switch {
	case in.URL == "":
		return in, Member("url", "is missing", "Name the endpoint, such as /v1/chat/completions.")
	case len(in.Body) == 0 || in.Body.Kind() == 'n':
		return in, Member("body", "is missing", "Send the body that "+Printable(in.URL, 100)+" takes.")
	case in.Method != "" && in.Method != "POST":
		return in, Member("method", fmt.Sprintf("is %.32q", in.Method), "Send POST, or leave it out.")
	}
	if in.CustomID != "" {
		if err := Name(in.CustomID, Member, "custom_id"); err != nil {
			return in, err
		}
	}
	if in.Webhook != "" {
		if err := Webhook(in.Webhook, Member, "webhook"); err != nil {
			return in, err
		}
	}
	if in.Retention != "" {
		keep, err := Kept(in.Retention, Member, "retention")
		if err != nil {
			return in, err
		}
		in.Keep = keep
	}
	return in, nil
}

// The bounds of a page of jobs. A thousand are about a megabyte.
const (
	defaultPage = 100
	maxPage     = 1000
)

// ReadList reads the query of GET /v1/jobs. Tenant is as it was asked for.
func ReadList(raw string) (backlog.Query, error) {
	query := backlog.Query{Newest: true, Limit: defaultPage}
	q, err := Query(raw, "state", "operation", "user", "tenant", "custom_id", "after", "limit", "order")
	if err != nil {
		return query, err
	}
	query.Operation, query.User, query.Tenant, query.CustomID = param(q, "operation"), param(q, "user"), param(q, "tenant"), q.Get("custom_id")
	if err := checkNames(&query, Param); err != nil {
		return query, err
	}
	if q.Has("custom_id") {
		if err := Name(query.CustomID, Param, "custom_id"); err != nil {
			return query, err
		}
	}
	if q.Has("state") {
		if query.States, err = states(strings.Split(q.Get("state"), ","), Param, "state"); err != nil {
			return query, err
		}
	}
	return query, readPage(q, &query)
}

// readPage reads what says which page of a list is wanted, and how.
func readPage(q url.Values, query *backlog.Query) error {
	switch order := q.Get("order"); order {
	case "", "desc":
	case "asc":
		query.Newest = false
	default:
		return Param("order", fmt.Sprintf("has the unknown value %.32q", order), OneOf("asc", "desc"))
	}
	if after := q.Get("after"); q.Has("after") {
		id, err := backlog.ParseID(after)
		if err != nil {
			return Param("after", fmt.Sprintf("is %.40q, which is no cursor", after), `Send the "next" of the page before.`)
		}
		query.After = id
	}
	if limit := q.Get("limit"); q.Has("limit") {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > maxPage {
			e := Param("limit", fmt.Sprintf("is %.32q", limit), "Send a number within the bound, or leave it out for 100.")
			return Bound(e, "1 to "+strconv.Itoa(maxPage))
		}
		query.Limit = n
	}
	return nil
}

// param is a parameter that may be empty; nil where it is not there.
func param(q url.Values, name string) *string {
	if !q.Has(name) {
		return nil
	}
	value := q.Get(name)
	return &value
}

// checkNames refuses names that no job can have. An operation or a user may be empty:
// that selects the jobs without one.
func checkNames(query *backlog.Query, refuse Refuse) error {
	for _, n := range []struct {
		name  string
		value *string
	}{{"operation", query.Operation}, {"user", query.User}, {"tenant", query.Tenant}} {
		if n.value == nil || *n.value == "" && n.name != "tenant" {
			continue
		}
		if err := Name(*n.value, refuse, n.name); err != nil {
			return err
		}
	}
	return nil
}

func states(names []string, refuse Refuse, param string) ([]backlog.State, error) {
	var known []string
	for _, s := range backlog.States() {
		known = append(known, s.String())
	}
	var found []backlog.State
	for _, name := range names {
		state, err := backlog.ParseState(name)
		if err != nil {
			return nil, refuse(param, fmt.Sprintf("has the unknown state %.32q", name)+near.DidYouMean(name, known), "Use "+strings.Join(known, ", ")+".")
		}
		if !slices.Contains(found, state) {
			found = append(found, state)
		}
	}
	return found, nil
}

// purge is the body of POST /v1/jobs/purge. Members that are set have to agree, all
// of them.
type purge struct {
	States    []string `json:"states"` // final ones; required
	Operation *string  `json:"operation"`
	User      *string  `json:"user"`
	Tenant    *string  `json:"tenant"`
	Before    string   `json:"before"` // accepted longer ago than this, such as "24h"
}

// ReadPurge reads the body of POST /v1/jobs/purge. Tenant is as it was asked for.
func ReadPurge(body []byte, now time.Time) (backlog.Query, error) {
	var in purge
	if err := Unmarshal(body, &in); err != nil {
		return backlog.Query{}, err
	}
	query := backlog.Query{Newest: true, Operation: in.Operation, User: in.User, Tenant: in.Tenant}
	if err := checkNames(&query, Member); err != nil {
		return query, err
	}
	finals := OneOf("completed", "failed", "timeout", "cancelled", "dead")
	if len(in.States) == 0 {
		return query, Member("states", "is missing", "Send a list of final states. "+finals)
	}
	var err error
	if query.States, err = states(in.States, Member, "states"); err != nil {
		return query, err
	}
	for _, s := range query.States {
		if !s.Final() {
			return query, Member("states", "names "+s.String()+", which is not final", "Cancel such jobs first. "+finals)
		}
	}
	if in.Before == "" {
		return query, nil
	}
	age, err := Duration(in.Before, time.Second)
	const oldest = 364 * 24 * time.Hour // Duration ends a day later
	if err != nil || age <= 0 || age > oldest {
		return query, Bound(Member("before", notATime(in.Before), "Send seconds such as 3600, or a duration such as 24h."), "1ns to 8736h")
	}
	// IDs ascend with the time of acceptance, and Newest lists those below After.
	query.After = new(backlog.IDs).Next(now.Add(-age))
	return query, nil
}

// ReadPatch reads the body of PATCH /v1/jobs/{id}.
func ReadPatch(body []byte) (llm.Priority, error) {
	var in struct {
		Priority string `json:"priority"`
	}
	if err := Unmarshal(body, &in); err != nil {
		return 0, err
	}
	if in.Priority == "" {
		return 0, Member("priority", "is missing", bands())
	}
	band, err := Priority(in.Priority, Member, "priority")
	if err != nil {
		return 0, err
	}
	return band, nil
}

// ReadSwitch reads the body of POST /v1/jobs/pause and /v1/jobs/resume.
func ReadSwitch(body []byte) (operation string, err error) {
	var in struct {
		Operation *string `json:"operation"`
	}
	if err := Unmarshal(body, &in); err != nil {
		return "", err
	}
	if in.Operation == nil {
		return "", Member("operation", "is missing", `Name the operation; "" stands for calls without one.`)
	}
	if err := checkNames(&backlog.Query{Operation: in.Operation}, Member); err != nil {
		return "", err
	}
	return *in.Operation, nil
}
