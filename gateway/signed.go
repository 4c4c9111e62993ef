package gateway

import (
	"cmp"
	"time"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/access/sigv4"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/llm"
)

// findAWS is the grant behind the credentials of a request to the Bedrock door: a
// signature, or a key as on the other doors, which is what the SDKs call a bearer token.
func (g *Gateway) findAWS(x *visit, now time.Time) (*access.Grant, error) {
	if sigv4.Signed(x.r) {
		return g.findSigned(x, now)
	}
	grant, err := g.ring.Find(x.r.Header, now)
	if err == nil {
		return grant, nil
	}
	e := *err
	if e.Fix = "Sign with an access key of this gateway, or send a key as Authorization: Bearer KEY (AWS_BEARER_TOKEN_BEDROCK)."; !access.HasKey(x.r.Header) {
		e.Code = "MissingAuthenticationTokenException"
	}
	return nil, &e
}

// findSigned is the grant of the access key that a request was signed with. The request's
// body is covered by the signature, so it is read here, within its bounds, and used no
// sooner than the signature was found right. Where the signature covers what the request
// says of its body, that is checked first, and nothing is read for strangers.
func (g *Gateway) findSigned(x *visit, now time.Time) (*access.Grant, error) {
	s, err := sigv4.Parse(x.r)
	if err != nil {
		return nil, err
	}
	secret, grant, err := g.scoped(x, &s)
	if err != nil {
		return nil, err
	}
	claimed := s.Claimed(x.r)
	if err := s.Current(now); err != nil {
		return nil, err
	}
	if claimed != "" {
		if err := s.Verify(secret, x.r, claimed, now); err != nil {
			return nil, err
		}
	}
	body, err := x.readBody()
	if err != nil {
		return nil, err
	}
	if hash := sigv4.PayloadHash(body); hash != claimed {
		if err := s.Verify(secret, x.r, hash, now); err != nil {
			return nil, err
		}
	}
	if grant.Expired(now) {
		return nil, unsigned("the access key has expired", "Ask for a new one.")
	}
	if err := g.replays.Admit(&s, now); err != nil {
		return nil, err
	}
	x.body, x.bodyRead = body, true
	return grant, nil
}

// scoped finds the access key, and refuses a signature that is for something else or
// leaves out what we read.
func (g *Gateway) scoped(x *visit, s *sigv4.Signature) (llm.Secret, *access.Grant, error) {
	switch s.Service {
	case "bedrock", "bedrock-runtime":
	default:
		e := unsigned("the signature is for the service "+s.Service, "Sign for the service bedrock, in whichever region.")
		e.Code = "InvalidSignatureException"
		return "", nil, e
	}
	if name := cmp.Or(s.Unsigned(x.r.Header, form.ControlPrefix), s.Unsigned(x.r.Header, "X-Amzn-Bedrock-")); name != "" {
		e := unsigned("the header "+name+" is there and is not signed", "Sign it: add it before the SDK signs.")
		e.Code = "IncompleteSignatureException"
		return "", nil, e
	}
	secret, grant, ok := g.ring.Pair(s.AccessKeyID)
	if !ok {
		return "", nil, unsigned("the access key id is not known", "Use an access key of this gateway; those of AWS accounts are not known here.")
	}
	return secret, grant, nil
}

// unsigned refuses a signature whose form is good. To an SDK it is an
// UnrecognizedClientException unless its Code says otherwise.
func unsigned(message, fix string) *llm.Error {
	return &llm.Error{Kind: llm.CallerUnauthenticated, Message: message, Fix: fix}
}
