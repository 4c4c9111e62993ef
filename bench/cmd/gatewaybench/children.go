package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"sync"

	"github.com/forebay-ai/forebay/bench/internal/proc"
	"github.com/forebay-ai/forebay/bench/internal/subject"
)

// The subcommands under which this binary runs again as a child.
const (
	cmdUpstream = "upstream"
	cmdProxy    = "proxy"
	cmdLoad     = "load"
)

// anyPort is an address of this machine only.
const anyPort = "127.0.0.1:0"

// runProxy is httputil.ReverseProxy in front of args[0] and nothing else: the
// floor of what a gateway on net/http costs.
func runProxy(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s needs the upstream's address", cmdProxy)
	}
	target := &url.URL{Scheme: "http", Host: args[0]}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, DisableCompression: true},
		FlushInterval: -1,
		BufferPool:    &buffers{sync.Pool{New: func() any { return make([]byte, 32<<10) }}},
	}
	ln, err := net.Listen("tcp", anyPort)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == subject.MetricsPath {
			writeMallocs(w)
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(ln) }) // ends with ErrServerClosed
	proc.Announce(ln.Addr().String())
	_ = server.Close()
	serving.Wait()
	return nil
}

// buffers is a httputil.BufferPool.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte { return b.pool.Get().([]byte) }

//lint:ignore SA6002 the interface hands over a slice; boxing its header costs 24 bytes, not the buffer
func (b *buffers) Put(p []byte) { b.pool.Put(p) }

// writeMallocs answers as Forebay's /metrics does, with the one figure that is read.
func writeMallocs(w io.Writer) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "%s %d\n", subject.MallocsMetric, m.Mallocs)
}
