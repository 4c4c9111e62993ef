package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/forebay-ai/forebay/webhook"
)

// A receiver verifies what comes, and the sender delivers to it because its address,
// a private one, is allowed.
func Example() {
	secret := []byte("of a tenant: 32 bytes, at random")
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err == nil {
			err = webhook.Verify(secret, r.Header, body, time.Now(), webhook.DefaultTolerance)
		}
		if err != nil {
			http.Error(w, "not ours", http.StatusUnauthorized)
			return
		}
		fmt.Println("received", r.Header.Get("webhook-id"), string(body))
	}))
	defer receiver.Close()

	s, err := webhook.New(webhook.Config{
		Secret: func(string) []byte { return secret },
		Allow:  []string{"127.0.0.0/8"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := s.Deliver(context.Background(), webhook.Message{
		Address: receiver.URL, Tenant: "acme", ID: "job_01mqzk3v5x8y2", Body: []byte(`{"type":"job.completed"}`),
	})
	fmt.Println(again, err)
	// Output:
	// received job_01mqzk3v5x8y2 {"type":"job.completed"}
	// false <nil>
}

func ExampleSender_Check() {
	s, err := webhook.New(webhook.Config{Secret: func(string) []byte { return make([]byte, 32) }, Allow: []string{"hooks.internal:8080"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, address := range []string{"https://example.com/hooks", "http://hooks.internal:8080/", "http://example.com/hooks", "https://169.254.169.254/latest"} {
		fmt.Println(s.Check(address))
	}
	// Output:
	// <nil>
	// <nil>
	// caller_invalid_request: the webhook's address is refused: it is not encrypted. Use https.
	// caller_invalid_request: the webhook's address is refused: 169.254.169.254 is link-local. Use an address on the public internet.
}
