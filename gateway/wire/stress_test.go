package wire_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/gateway/wire"
)

// echo answers with the request's body some times over, detached, and now and then breaks off.
func echo(t *testing.T, ends *sync.WaitGroup) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		_, _ = w.Write(b)
		ctx, gone := context.WithCancel(context.Background())
		d := wire.Detach(w, r, gone)
		if d == nil {
			gone()
			return
		}
		ends.Go(func() {
			defer gone()
			whole := true
			for range rand.IntN(4) {
				select {
				case <-ctx.Done():
					whole = false
				case <-time.After(rand.N(3 * time.Millisecond)):
				}
				d.Do(func() {
					_, err := d.Write(b)
					whole = whole && err == nil
				})
			}
			d.Do(func() { d.End(whole && rand.IntN(20) > 0) })
		})
	}
}

// batch asks for up to three answers at once, in two pieces, and reads them in turn. ok says
// that the connection goes on.
func batch(t *testing.T, c net.Conn, in *bufio.Reader, name string) (ok bool) {
	t.Helper()
	text, words := "", []string{}
	for i := range 1 + rand.IntN(3)*rand.IntN(2) {
		w := fmt.Sprintf("%s-%d ", name, i)
		words = append(words, w)
		text += fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(w), w)
	}
	cut := rand.IntN(len(text))
	_, _ = io.WriteString(c, text[:cut])
	time.Sleep(rand.N(2 * time.Millisecond))
	_, _ = io.WriteString(c, text[cut:])
	switch rand.IntN(40) {
	case 0:
		return false // gone before the answers
	case 1:
		_ = c.(*net.TCPConn).CloseWrite()
	}
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	for _, w := range words {
		res, err := http.ReadResponse(in, nil)
		if err == nil {
			var got []byte
			got, err = io.ReadAll(res.Body)
			if err == nil && (res.StatusCode != http.StatusOK || len(got)%len(w) != 0 || string(got[:len(w)]) != w) {
				t.Errorf("%d %q for %q", res.StatusCode, got, w)
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("no answer came")
		}
		if err != nil {
			return false
		}
	}
	return true
}

// TestStress lets clients of all manners at answers of all manners, and shuts down among
// them: nobody gets another's answer, nobody waits in vain, and nothing is left.
func TestStress(t *testing.T) {
	for _, patience := range []time.Duration{0, 20 * time.Millisecond} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln := wire.Listen(l, wire.Config{WriteTimeout: 10 * time.Second})
		ln.AllowDetach()
		var ends, clients sync.WaitGroup
		s := &http.Server{ConnContext: wire.Context, IdleTimeout: 30 * time.Millisecond, ReadHeaderTimeout: time.Second, Handler: echo(t, &ends)}
		served := make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		stop, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		for i := range 20 {
			clients.Go(func() {
				for n := 0; stop.Err() == nil; n++ {
					c, err := net.Dial("tcp", l.Addr().String())
					if err != nil {
						return // it has shut down
					}
					in := bufio.NewReader(c)
					for k := 0; k < 6 && batch(t, c, in, fmt.Sprintf("%d-%d-%d", i, n, k)); k++ {
						time.Sleep(rand.N(35*time.Millisecond) * time.Duration(rand.IntN(2)))
					}
					_ = c.Close()
				}
			})
		}
		time.Sleep(800 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		ln.Quiesce()
		if s.Shutdown(ctx) != nil {
			_ = s.Close()
		}
		_ = ln.Drain(ctx) // whether any was late is chance
		cancel()
		<-served
		clients.Wait()
		ends.Wait()
		for began := time.Now(); ln.Open() != 0; time.Sleep(time.Millisecond) { // handlers of net/http that end
			if time.Since(began) > 10*time.Second {
				t.Fatalf("%d connections are left open", ln.Open())
			}
		}
	}
}
