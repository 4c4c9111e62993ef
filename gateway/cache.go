package gateway

import (
	"bufio"
	"bytes"
	"encoding/hex"
	stdjson "encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/warmup"
)

// The paths that a request in a file or an explanation may be meant for.
const (
	pathChat       = "/v1/chat/completions"
	pathEmbeddings = "/v1/embeddings"
	pathOperations = "/v1/operations/"
)

// maxTop bounds the list of answers that were given most often.
const maxTop = 100

// explainCache serves /v1/cache/explain: the body is a request as it would be sent to
// the path that the parameter "path" names (default /v1/chat/completions), with the
// same headers. With GET the body may stand in the parameter "request" instead.
func (g *Gateway) explainCache(x *visit) error {
	c, err := form.ReadControls(x.r.Header)
	if err != nil {
		return err
	}
	query := x.r.URL.Query()
	body := []byte(query.Get("request"))
	if len(body) == 0 {
		if body, err = x.readJSON(); err != nil {
			return err
		}
	}
	path := query.Get("path")
	if path == "" {
		path = pathChat
	}
	req, err := x.requestFor(path, &c, body)
	if err != nil {
		return err
	}
	explanation, err := g.cache.Explain(req)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, explanation)
}

// requestFor makes the request that body would be at path.
func (x *visit) requestFor(path string, c *form.Controls, body []byte) (*llm.Request, error) {
	if call, id := bedrockCallAt(path); call != nil {
		return x.bedrockRequest(call, id, c, body)
	}
	if x.r != nil { // else a line of a file
		if err := form.NoSettings(x.r.Header, path); err != nil {
			return nil, err
		}
	}
	if name, ok := strings.CutPrefix(path, pathOperations); ok {
		return x.operationRequest(name, c, body)
	}
	endpoint := llm.Chat
	switch path {
	case pathChat:
	case pathEmbeddings:
		endpoint = llm.Embeddings
	default:
		return nil, &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: "path", Message: "no calls are served at " + form.Printable(path, 100),
			Fix: "Name one of " + pathChat + ", " + pathEmbeddings + ", " + pathOperations + "NAME, " + pathModels + "ID/converse.",
		}
	}
	req, err := x.request(c)
	if err == nil {
		err = fillCompletion(req, endpoint, body)
	}
	return req, err
}

// CacheState is what GET /v1/cache says. Counts begin with the process.
type CacheState struct {
	Entries       int     `json:"entries"` // in memory
	Bytes         int64   `json:"bytes"`   // of memory
	HitRate       float64 `json:"hit_rate"`
	Evictions     int64   `json:"evictions"`
	TooLarge      int64   `json:"too_large"`
	Invalidations uint64  `json:"invalidations"`
	CacheCounts
	Operations map[string]CacheCounts `json:"operations"`
	Store      *CacheStore            `json:"store,omitempty"` // the persistent tier
	Top        []TopAnswer            `json:"top,omitempty"`
}

// CacheCounts counts how calls met the cache.
type CacheCounts struct {
	Hits         int64            `json:"hits"`
	HitsOnDisk   int64            `json:"hits_on_disk"`
	RefusalHits  int64            `json:"refusal_hits"` // of hits: a provider's refusal that was repeated
	StaleHits    int64            `json:"stale_hits"`
	Coalesced    int64            `json:"coalesced"`
	Bypassed     int64            `json:"bypassed"`
	Misses       int64            `json:"misses"`
	MissReasons  map[string]int64 `json:"miss_reasons,omitempty"`
	Stored       int64            `json:"stored"`
	SavedTokens  int64            `json:"saved_tokens"`
	SavedDollars float64          `json:"saved_usd"`
}

// CacheStore is the state of the persistent tier.
type CacheStore struct {
	State         string  `json:"state"` // up or down
	WaitingBytes  int64   `json:"waiting_bytes"`
	Written       int64   `json:"written"`
	Dropped       int64   `json:"dropped"`
	Damaged       int64   `json:"damaged"`
	Undecryptable int64   `json:"undecryptable"`
	Deleted       int64   `json:"deleted"`
	Compression   float64 `json:"compression"` // bytes before over bytes after
}

// TopAnswer is one of the answers that were given most often.
type TopAnswer struct {
	Key        string  `json:"key"`
	Operation  string  `json:"operation"`
	Model      string  `json:"model"`
	Hits       int64   `json:"hits"`
	Bytes      int64   `json:"bytes"`
	AgeSeconds float64 `json:"age_seconds"`
}

// cacheStats serves GET /v1/cache. Without the scope admin the list of answers that
// were given most often is left out: it spans all tenants.
func (g *Gateway) cacheStats(x *visit) error {
	if err := g.cache.Usable(); err != nil {
		return err
	}
	state := cacheState(g.cache.Stats())
	if x.grant.Allows(access.Admin) {
		for _, k := range g.cache.Top(maxTop) {
			state.Top = append(state.Top, TopAnswer{
				Key: k.Key.String(), Operation: k.Operation, Model: k.Model, Hits: k.Hits, Bytes: k.Bytes, AgeSeconds: k.Age.Seconds(),
			})
		}
	}
	return x.answerJSON(http.StatusOK, state)
}

func cacheState(s forebay.CacheStats) CacheState {
	state := CacheState{
		Entries: s.Entries, Bytes: s.Bytes, Evictions: s.Evictions, TooLarge: s.TooLarge, Invalidations: s.Generation,
		CacheCounts: cacheCounts(s.Lookups, s.CacheMeetings), Operations: map[string]CacheCounts{},
	}
	if all := state.Hits + state.StaleHits + state.Misses; all > 0 {
		state.HitRate = float64(state.Hits+state.StaleHits) / float64(all)
	}
	for name, o := range s.Operations {
		state.Operations[name] = cacheCounts(o.Lookups, o.CacheMeetings)
	}
	if d := &s.Disk; d.State != cache.StoreOff {
		state.Store = &CacheStore{
			State: string(d.State), WaitingBytes: d.WaitingBytes, Written: d.Written, Dropped: d.Dropped,
			Damaged: d.Damaged, Undecryptable: d.Undecryptable, Deleted: d.Swept,
		}
		if d.Envelope.PackedOut > 0 {
			state.Store.Compression = float64(d.Envelope.PackedIn) / float64(d.Envelope.PackedOut)
		}
	}
	return state
}

// cacheCounts tells a stale answer that was given from one that was found and not
// given: the second is a miss, because it had expired.
func cacheCounts(l cache.Lookups, m forebay.CacheMeetings) CacheCounts {
	expired := max(l.Stale-m.StaleHits, 0)
	c := CacheCounts{
		Hits: l.Hits, HitsOnDisk: l.DiskHits, RefusalHits: l.RefusalHits, StaleHits: m.StaleHits, Coalesced: m.Coalesced,
		Bypassed: m.Bypassed, Misses: l.Misses + expired, Stored: l.Stores,
		SavedTokens: l.SavedTokens, SavedDollars: float64(l.SavedMicroUSD) / 1e6,
	}
	if c.Misses > 0 {
		c.MissReasons = map[string]int64{}
	}
	for reason, n := range l.MissedBy {
		c.MissReasons[string(reason)] = n
	}
	if expired > 0 {
		c.MissReasons[string(cache.ReasonExpired)] += expired
	}
	return c
}

// Invalidation is the body of POST /v1/cache/invalidate.
type Invalidation struct {
	// Tenant is empty for that of the key. AllTenants needs the scope admin.
	Tenant     string `json:"tenant,omitempty"`
	AllTenants bool   `json:"all_tenants,omitempty"`
	// Those that are set have to agree, all of them.
	Operation string `json:"operation,omitempty"`
	User      string `json:"user,omitempty"`
	Model     string `json:"model,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Key       string `json:"key,omitempty"` // 64 hexadecimal digits
	// DryRun counts and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// Invalidated is the answer to it.
type Invalidated struct {
	DryRun bool `json:"dry_run"`
	// Memory and Store count the answers that are void now, or would be. Without
	// dry_run those in the store are deleted behind the answer and not counted.
	Memory int64  `json:"memory"`
	Store  *int64 `json:"store,omitempty"`
	// Number is the invalidation's own. Durable says that it outlasts the process;
	// without a persistent tier there is nothing that it would have to outlast it for.
	Number  uint64 `json:"number,omitempty"`
	Durable bool   `json:"durable"`
}

// invalidateCache serves POST /v1/cache/invalidate. A key reaches the answers of its
// own tenant; those of others need the scope admin.
func (g *Gateway) invalidateCache(x *visit) error {
	body, err := x.readJSON()
	if err != nil {
		return err
	}
	var in Invalidation
	if err := form.Unmarshal(body, &in); err != nil {
		return err
	}
	scope, err := x.cacheScope(&in)
	if err != nil {
		return err
	}
	control := g.cache.By(x.grant.Name)
	if in.DryRun {
		n, err := control.Count(x.r.Context(), scope)
		if err != nil {
			return err
		}
		return x.answerJSON(http.StatusOK, Invalidated{DryRun: true, Memory: n.Memory.Entries, Store: &n.Store.Entries})
	}
	done, err := control.Invalidate(x.r.Context(), scope)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, Invalidated{Memory: int64(done.Entries), Number: done.Number, Durable: done.Durable})
}

// cacheScope is what a body wants void, as far as the key may say so.
func (x *visit) cacheScope(in *Invalidation) (cache.Scope, error) {
	s := cache.Scope{
		Tenant: in.Tenant, Operation: in.Operation, User: in.User, Model: in.Model, Namespace: in.Namespace, AllTenants: in.AllTenants,
	}
	if s.Tenant == "" && !s.AllTenants {
		s.Tenant = x.grant.Tenant
	}
	if (s.AllTenants || s.Tenant != x.grant.Tenant) && !x.grant.Allows(access.Admin) {
		return s, &llm.Error{
			Kind: llm.CallerForbidden, Param: "tenant",
			Message: fmt.Sprintf("the key %q reaches answers of its own tenant %q only", x.grant.Name, x.grant.Tenant),
			Limit:   "keys." + x.grant.Name + ".scopes", Value: fmt.Sprint(x.grant.Scopes),
			Fix: "Leave tenant and all_tenants out, or use a key that has the scope " + access.Admin + ".",
		}
	}
	if in.Key == "" {
		return s, nil
	}
	raw, err := hex.DecodeString(in.Key)
	var key cache.Key
	if err != nil || len(raw) != len(key) {
		e := form.Member("key", "is no key of the cache", "Send the 64 hexadecimal digits that /v1/cache/explain gives.")
		return s, form.Bound(e, strconv.Itoa(2*len(key))+" hexadecimal digits")
	}
	copy(key[:], raw)
	s.Key = &key
	return s, nil
}

// answerJSON writes v as the answer's body.
func (x *visit) answerJSON(status int, v any) error {
	body, err := stdjson.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	return x.answer(status, jsonType, append(body, '\n'))
}

// warmCache serves POST /v1/cache/warmup: the body is a file of requests, one a line,
// and the answer says line by line how far it is. It goes on until the last line or
// until the caller leaves.
func (g *Gateway) warmCache(x *visit) error {
	if err := g.cache.Usable(); err != nil {
		return err
	}
	concurrency, err := concurrencyParam(x.r.URL.Query().Get("concurrency"))
	if err != nil {
		return err
	}
	body, err := x.readBody()
	if err != nil {
		return err
	}
	x.head(http.StatusOK, linesType)
	flusher, _ := x.w.(http.Flusher)
	tell := func(r warmup.Report, done bool) {
		line, err := stdjson.Marshal(warmupLine{Report: r, Done: done})
		if err == nil && x.write(append(line, '\n')) && flusher != nil {
			flusher.Flush()
		}
	}
	report, err := warmup.Run(x.r.Context(), g.caller, warmup.List{
		Requests: x.warmupRequests(bufio.NewReader(bytes.NewReader(body))), Concurrency: concurrency,
		Progress: func(r warmup.Report) {
			r.Failures = nil // told at the end
			tell(r, false)
		},
	})
	if err == nil {
		tell(report, true)
	}
	return err
}

// linesType is one JSON value a line.
const linesType = "application/x-ndjson"

// warmupLine is one line of the answer to a warm-up.
type warmupLine struct {
	warmup.Report
	Done bool `json:"done"`
}

func concurrencyParam(value string) (int, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 64 {
		return 0, form.Bound(form.Param("concurrency", fmt.Sprintf("is %.32q", value), "Send a number within the limit, or leave it out for 2."), "1 to 64")
	}
	return n, nil
}
