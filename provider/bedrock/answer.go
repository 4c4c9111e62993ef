package bedrock

import (
	"fmt"
	"mime"
	"net/http"
	"time"

	dialect "github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/internal/exchange"
)

// The content types of answers.
const (
	jsonMedia  = "application/json"
	eventMedia = "application/vnd.amazon.eventstream"
)

// checkMedia checks that an answer is framed as it was asked for. The path decides that,
// so that anything else is not Bedrock's.
func checkMedia(x *exchange.Exchange, stream bool) *llm.Error {
	want := jsonMedia
	if stream {
		want = eventMedia
	}
	got := x.Header().Get("Content-Type")
	if got == want { // nearly all answers, without the cost of parsing
		return nil
	}
	media, _, err := mime.ParseMediaType(got)
	if media == want {
		return nil
	}
	e := x.Wrong(failure.Malformed, fmt.Sprintf("the provider answered with %.60q, not with %s", got, want))
	e.Fix = "Check the provider's region and endpoint."
	if e.Err == nil {
		e.Err = err
	}
	return e
}

// answer makes the stream of an answer whose head is good.
func (p *Provider) answer(x *exchange.Exchange, req *llm.Request) llm.Stream {
	if !req.Stream {
		return x.Whole(req, whole)
	}
	return x.Stream(dialect.NewReader(x, dialect.ReaderOptions{
		Invoke: req.Dialect.Name() == dialect.NameInvoke, Model: req.Model,
		MaxEvent: x.Bounds().MaxEvent, MaxBytes: x.Bounds().MaxStream,
	}))
}

// whole reads an answer in one piece.
func whole(x *exchange.Exchange, req *llm.Request) (llm.Chunk, error) {
	body, err := x.ReadAll(x.Bounds().MaxBody)
	if err != nil {
		return llm.Chunk{}, err
	}
	c, err := dialect.ReadWhole(req, body)
	if err == nil {
		if c.Usage.IsZero() {
			c.Usage = dialect.HeaderUsage(x.Header())
		}
		return c, nil
	}
	if llm.KindOf(err) != llm.ProviderMalformed {
		// The body reports an error. The head may say when to try again, and whether.
		return c, dialect.DecodeError(0, x.Header(), body)
	}
	return c, err
}

// worstSkew is how far clocks may differ before AWS refuses signatures, in its
// documentation of Signature Version 4.
const worstSkew = 5 * time.Minute

// decodeError reads an error answer. Of a refusal that a wrong clock explains, it says so.
func decodeError(status int, h http.Header, body []byte) *llm.Error {
	e := dialect.DecodeError(status, h, body)
	if e.Kind != llm.ProviderAuthFailed || e.Fix != "" {
		return e
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		if ahead := time.Since(date); ahead.Abs() >= worstSkew {
			e.Fix = fmt.Sprintf("Set this machine's clock: it differs from the provider's by %s.", ahead.Abs().Round(time.Second))
			return e
		}
	}
	e.Fix = "Check the AWS credentials or the api_key, and that they are for this partition and region."
	return e
}
