// Package redisgate is what somebody would write who wants answers cached and has a
// Redis: a gateway on net/http that looks the request's body up in Redis, and asks the
// upstream and stores the answer where there is nothing. It is what Forebay's cache is
// compared with, so it is written for speed and leaves out what costs: it knows no
// keys of callers, no users, no limits and no metrics, takes the SHA-256 of the body as
// it comes for the key, and stores answers as they are, without encryption or names.
package redisgate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/forebay-ai/forebay/bench/internal/proc"
)

const (
	ttl     = 24 * time.Hour // Forebay's default
	maxBody = 1 << 20
	// gcPercent lets garbage be collected as seldom as Forebay does it under load,
	// so that the collector does not decide the comparison: most of the heap is garbage.
	gcPercent = 800
	// poolSize has a connection for each call that the measurements have in progress.
	poolSize = 64
	// waitForRedis bounds the start of Redis.
	waitForRedis = 5 * time.Second
)

// Gateway is the handler. Its methods may be called concurrently.
type Gateway struct {
	redis    *redis.Client
	upstream string // the URL that calls go to
	client   *http.Client
	buffers  sync.Pool // of *bytes.Buffer
}

// New returns a gateway over the Redis at redisAddr in front of the upstream at
// upstreamAddr, both host:port. Close frees its connections.
func New(redisAddr, upstreamAddr string) *Gateway {
	return &Gateway{
		redis:    redis.NewClient(&redis.Options{Addr: redisAddr, PoolSize: poolSize, MinIdleConns: poolSize}),
		upstream: "http://" + upstreamAddr,
		client:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: poolSize, DisableCompression: true}},
		buffers:  sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
}

// Close closes the connections to Redis.
func (g *Gateway) Close() error { return g.redis.Close() }

// Ready waits until Redis answers.
func (g *Gateway) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, waitForRedis)
	defer cancel()
	for {
		err := g.redis.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("redis does not answer: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ServeHTTP answers a call from Redis, or from the upstream.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	buf := g.buffers.Get().(*bytes.Buffer)
	defer g.buffers.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sum := sha256.Sum256(buf.Bytes())
	key := string(sum[:])
	answer, err := g.redis.Get(r.Context(), key).Bytes()
	status := "redis; hit"
	if errors.Is(err, redis.Nil) {
		status = "redis; fwd=uri-miss"
		answer, err = g.fetch(r, key, buf.Bytes())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	h.Set("Cache-Status", status)
	_, _ = w.Write(answer) // a client that is gone needs no answer
}

// fetch asks the upstream and stores its answer.
func (g *Gateway) fetch(r *http.Request, key string, body []byte) ([]byte, error) {
	// The transport may read the body for a moment longer than the call takes.
	req, err := http.NewRequestWithContext(r.Context(), r.Method, g.upstream+r.URL.Path, bytes.NewReader(bytes.Clone(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", r.Header.Get("Content-Type"))
	res, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the upstream's status is %d", res.StatusCode)
	}
	return answer, g.redis.Set(r.Context(), key, answer, ttl).Err()
}

// Child serves on a free port of the loopback interface until the parent is done
// (proc.Announce). Its arguments are New's.
func Child(args []string) error {
	if len(args) != 2 {
		return errors.New("redisgate needs the addresses of Redis and of the upstream")
	}
	debug.SetGCPercent(gcPercent)
	g := New(args[0], args[1])
	defer g.Close()
	if err := g.Ready(context.Background()); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: g}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(ln) }) // ends with ErrServerClosed
	proc.Announce(ln.Addr().String())
	_ = server.Close()
	serving.Wait()
	return nil
}
