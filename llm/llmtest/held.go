package llmtest

import (
	"io"
	"runtime"

	"github.com/forebay-ai/forebay/llm"
)

// HeldWhileWaiting is how many bytes a reader of a stream holds, on average, that has delivered all
// of parts and waits for more: open makes such a reader. Parts come one a read, or as much of one
// as there is room for. It is not for tests that run beside others.
func HeldWhileWaiting[R interface{ Next() (llm.Chunk, error) }](open func(io.Reader) R, parts ...[]byte) int {
	const streams = 100
	readers := make([]R, streams)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range readers {
		readers[i] = open(&waiting{parts})
		for {
			if _, err := readers[i].Next(); err != nil {
				break // there is nothing more to be read
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(readers)
	return int(after.HeapAlloc-before.HeapAlloc) / streams
}

// waiting gives its parts, and then nothing.
type waiting struct{ parts [][]byte }

func (w *waiting) Read(b []byte) (int, error) {
	if len(w.parts) == 0 {
		return 0, nil
	}
	n := copy(b, w.parts[0])
	if len(w.parts[0]) == n {
		w.parts = w.parts[1:]
	} else {
		w.parts = append([][]byte{w.parts[0][n:]}, w.parts[1:]...)
	}
	return n, nil
}
