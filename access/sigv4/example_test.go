package sigv4_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/access/sigv4"
)

func Example() {
	r := sign(new(testing.T), outgoing(new(testing.T)), body, signedAt, "eu-central-1") // what came
	replays := sigv4.NewReplays(sigv4.RefuseRepeats, 0)
	now := signedAt.Add(time.Second)
	for range 2 {
		s, err := sigv4.Parse(r)
		if err == nil {
			err = s.Verify(secret, r, sigv4.PayloadHash([]byte(body)), now) // the secret of s.AccessKeyID
		}
		if err == nil {
			err = replays.Admit(&s, now)
		}
		fmt.Println(s.AccessKeyID, s.Region, err)
	}
	// Output:
	// FOREBAYWEB0000000001 eu-central-1 <nil>
	// FOREBAYWEB0000000001 eu-central-1 caller_unauthenticated: the request was sent before: its signature has been used (gateway.repeated_signatures = refuse). Sign each request anew; the SDKs do.
}
