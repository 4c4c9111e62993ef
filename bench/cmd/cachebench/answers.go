package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/upstream"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/llm"
)

// What all entries have in common.
const (
	tenant    = "bench"
	operation = "chat"
	model     = "bench-1"
	users     = 100 // each has a data key of its own
	lifetime  = 24 * time.Hour
)

// numberedKey is the key of the n-th entry: as random as all keys are.
func numberedKey(n int) cache.Key {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	return sha256.Sum256(b[:])
}

// someBodies makes n answers of size bytes.
func someBodies(n, size int) [][]byte {
	bodies := make([][]byte, n)
	for i := range bodies {
		bodies[i] = upstream.Prose(size, uint64(i))
	}
	return bodies
}

// population makes entries and the queries that find them.
type population struct {
	bodies [][]byte
	users  []string
	now    time.Time
}

func newPopulation(bodies [][]byte) *population {
	p := &population{bodies: bodies, now: time.Now()}
	for n := range users {
		p.users = append(p.users, fmt.Sprintf("user-%02d", n))
	}
	return p
}

func (p *population) labels(n int) cache.Labels {
	return cache.Labels{Tenant: tenant, Operation: operation, User: p.users[n%len(p.users)], Model: model}
}

// entry is the n-th entry, as a client makes it of an answer.
func (p *population) entry(n int) cache.Entry {
	return cache.Entry{
		Key: numberedKey(n), Tenant: tenant, User: p.users[n%len(p.users)], Labels: p.labels(n), Digest: uint64(n) + 1,
		Body: p.bodies[n%len(p.bodies)], Dialect: "openai", Provider: "mock", Model: model,
		Usage: llm.Usage{Input: 60, Output: 300}, Finish: llm.FinishStop, Stored: p.now, Expires: p.now.Add(lifetime),
	}
}

// query asks for the n-th entry.
func (p *population) query(n int) cache.Query {
	return cache.Query{
		Key: numberedKey(n), Tenant: tenant, User: p.users[n%len(p.users)], Labels: p.labels(n), Digest: uint64(n) + 1, Now: p.now,
	}
}

// chatBody is a chat request of about 2 KB, as applications send them.
func chatBody() []byte {
	text := strings.Repeat("Tell me a story about a queue and what it stores. ", 37)
	return fmt.Appendf(nil, `{"model":%q,"temperature":0.2,"seed":9007199254740993,"messages":[`+
		`{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":%q}]}`, model, strings.TrimSpace(text))
}
