package gateway

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/gateway/head"
	"github.com/forebay-ai/forebay/llm"
)

// warmupEntry is a line of a warm-up file. The first four members are those of
// OpenAI's batch files, so that such a file serves as it is.
type warmupEntry struct {
	CustomID string         `json:"custom_id"`
	Method   string         `json:"method"`
	URL      string         `json:"url"`
	Body     jsontext.Value `json:"body"`

	Operation string `json:"operation"`
	User      string `json:"user"`
	Persona   string `json:"persona"`
	Namespace string `json:"namespace"`
	Tenant    string `json:"tenant"` // of other tenants with the scope admin only
	TTL       string `json:"ttl"`
}

// Warmup reads a warm-up file for a tenant, as POST /v1/cache/warmup does for the
// tenant of its key. Lines may name other tenants.
func (g *Gateway) Warmup(r io.Reader, tenant string) iter.Seq2[*llm.Request, error] {
	operator := *access.Anonymous()
	operator.Name, operator.Tenant, operator.Scopes = "warm-up", cmp.Or(tenant, access.DefaultTenant), []string{access.Call, access.Admin}
	x := &visit{gateway: g, grant: &operator, start: time.Now(), id: head.NewID()}
	return x.warmupRequests(bufio.NewReader(r))
}

// warmupRequests reads the requests of a file, one a line. A faulty line gives an
// error that names it, and the next one is read.
func (x *visit) warmupRequests(r *bufio.Reader) iter.Seq2[*llm.Request, error] {
	// A visit of its own: the other one is written to while lines are read.
	x = &visit{gateway: x.gateway, grant: x.grant, id: x.id, trace: x.trace, start: x.start}
	return func(yield func(*llm.Request, error) bool) {
		for n := 1; ; n++ {
			line, err := x.warmupLine(r)
			if len(bytes.TrimSpace(line)) > 0 && err == nil {
				var req *llm.Request
				if req, err = x.warmupRequest(line); err != nil {
					err = fmt.Errorf("line %d: %w", n, err)
				} else {
					req.ID = fmt.Sprintf("%s-%d", x.id, n)
				}
				if !yield(req, err) {
					return
				}
				continue
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("line %d: %w", n, err))
				return
			}
		}
	}
}

// warmupLine reads one line, without bound to its length but that of bodies. The last
// one need not end.
func (x *visit) warmupLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case int64(len(line)) > x.gateway.cfg.MaxBody:
			return nil, x.tooLarge(fmt.Sprintf("a line of over %d bytes", x.gateway.cfg.MaxBody))
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF && len(line) > 0:
			return line, nil
		default:
			return line, err
		}
	}
}

// warmupRequest makes the request of a line: an entry with a body, or a body by itself.
func (x *visit) warmupRequest(line []byte) (*llm.Request, error) {
	var e warmupEntry
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, &llm.Error{Kind: llm.CallerInvalidRequest, Message: form.Printable(err.Error(), 200), Fix: "Write one JSON object a line."}
	}
	c := form.Controls{User: e.User, Persona: e.Persona, Operation: e.Operation}
	if e.Body == nil {
		// A body by itself says all there is to say: its user is the body's own.
		return x.requestFor(pathChat, &form.Controls{}, line)
	}
	c.Cache.Namespace = e.Namespace
	if e.TTL != "" {
		ttl, err := form.Kept(e.TTL, form.Member, "ttl")
		if err != nil {
			return nil, err
		}
		c.Cache.TTL = ttl
	}
	for _, name := range []struct{ member, value string }{
		{"user", e.User}, {"persona", e.Persona}, {"operation", e.Operation}, {"namespace", e.Namespace},
	} {
		if name.value == "" {
			continue
		}
		if err := form.Name(name.value, form.Member, name.member); err != nil {
			return nil, err
		}
	}
	at := x
	if e.Tenant != "" && e.Tenant != x.grant.Tenant {
		if !x.grant.Allows(access.Admin) {
			return nil, form.Member("tenant", "is not that of the key", "Leave it out, or use a key that has the scope "+access.Admin+".")
		}
		other := *x.grant
		other.Tenant = e.Tenant
		at = &visit{gateway: x.gateway, grant: &other, id: x.id, trace: x.trace, start: x.start}
	}
	return at.requestFor(cmp.Or(e.URL, pathChat), &c, e.Body)
}
