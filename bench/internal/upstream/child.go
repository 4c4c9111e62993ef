package upstream

import (
	"net"
	"sync"

	"github.com/forebay-ai/forebay/bench/internal/proc"
)

// Child serves on a free port of the loopback interface until the parent is done
// (proc.Announce): it is all that a process of the upstream's own has to do.
func Child() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	serving.Go(func() { err = New().Serve(ln) })
	proc.Announce(ln.Addr().String())
	_ = ln.Close()
	serving.Wait()
	return err
}
