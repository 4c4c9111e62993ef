package wire

import (
	"net/http"
	"time"
)

// Guard returns w so that each write and each flush to an HTTP/2 stream is bounded in
// time: a client that reads the connection and does not take this stream's bytes keeps
// its handler no longer than that. The stream is reset then. On HTTP/1 it returns w:
// there the connection does it. done has to be called when the handler is through; it
// bounds the sending of what is left.
func Guard(w http.ResponseWriter, r *http.Request, timeout time.Duration) (guarded http.ResponseWriter, done func()) {
	if _, already := w.(*stream); already || r.ProtoMajor < 2 {
		return w, func() {}
	}
	s := &stream{ResponseWriter: w, control: http.NewResponseController(w), timeout: timeout}
	return s, s.arm
}

// Streams is next behind Guard.
func Streams(next http.Handler, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guarded, done := Guard(w, r, timeout)
		defer done()
		next.ServeHTTP(guarded, r)
	})
}

// stream is the answer on one HTTP/2 stream. net/http's deadline for it ends the stream
// even while nothing is written, so it is lifted in between.
type stream struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

func (s *stream) arm()    { _ = s.control.SetWriteDeadline(time.Now().Add(s.timeout)) }
func (s *stream) disarm() { _ = s.control.SetWriteDeadline(time.Time{}) }

// Write writes b in pieces, each within the bound.
func (s *stream) Write(b []byte) (written int, err error) {
	for {
		piece := b[written:min(len(b), written+writePiece)]
		s.arm()
		n, err := s.ResponseWriter.Write(piece)
		s.disarm()
		written += n
		if err != nil || written >= len(b) {
			return written, err
		}
	}
}

// Flush sends what was written, within the bound.
func (s *stream) Flush() {
	s.arm()
	_ = s.control.Flush()
	s.disarm()
}

// SetReadDeadline bounds reading of the request's body.
func (s *stream) SetReadDeadline(t time.Time) error { return s.control.SetReadDeadline(t) }

// Unwrap is for http.ResponseController.
func (s *stream) Unwrap() http.ResponseWriter { return s.ResponseWriter }
