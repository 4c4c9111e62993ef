package webhook_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/webhook"
)

func ascending(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// TestVectors has signatures that another program computed. The first is that of
// the tests of the specification's own libraries.
func TestVectors(t *testing.T) {
	published, err := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		secret              []byte
		id, stamp, body, as string
		at                  int64
	}{
		"published": {published, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", `{"test": 2432232314}`, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 1614265330},
		"job":       {ascending(32), "job_01mqzk3v5x8y2", "1763770000", `{"type":"job.completed"}`, "v1,TJlJmkCOXeD+LNWF+TgpWUG7UCf323CoyG4v9jZ7SFg=", 1763770000},
		"empty":     {ascending(32), "job_01mqzk3v5x8y2", "1763770000", "", "v1,FFQypOisRc0P2Ehzjfv5XoUNgW0T59RK2KbBv1S44LI=", 1763770000},
		"bytes":     {bytes.Repeat([]byte{255}, 64), "a", "0", "{\"ä\":\"\x00\"}", "v1,5nY2rAgeOmBkQXXvOs/7O1yi+q6ND0W+30Vmjgq8Yg8=", 0},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(tt.at, 0)
			verify := func(signature string) error {
				h := http.Header{"Webhook-Id": {tt.id}, "Webhook-Timestamp": {tt.stamp}, "Webhook-Signature": {signature}}
				return webhook.Verify(tt.secret, h, []byte(tt.body), now, 0)
			}
			for _, good := range []string{tt.as, "v1,AAAA v1a,x v2 " + tt.as + " v1,", "  " + tt.as} {
				if err := verify(good); err != nil {
					t.Errorf("%q: %v", good, err)
				}
			}
			for _, bad := range []string{"v1," + tt.as, "v2" + tt.as[2:], tt.as[3:], "v1,", tt.as[:20], strings.ToLower(tt.as), strings.Replace(tt.as, " ", ",", 1) + ",x"} {
				if err := verify(bad); !errors.Is(err, webhook.ErrSignature) {
					t.Errorf("%q: %v", bad, err)
				}
			}
		})
	}
}

// TestVerifyRefuses changes one thing of a good delivery at a time.
func TestVerifyRefuses(t *testing.T) {
	const stamp = 1763770000
	good := func() http.Header {
		return http.Header{
			"Webhook-Id": {"job_01mqzk3v5x8y2"}, "Webhook-Timestamp": {"1763770000"},
			"Webhook-Signature": {"v1,TJlJmkCOXeD+LNWF+TgpWUG7UCf323CoyG4v9jZ7SFg="},
		}
	}
	body := []byte(`{"type":"job.completed"}`)
	for name, tt := range map[string]struct {
		change    func(h http.Header)
		secret    []byte
		body      string
		at        int64
		tolerance time.Duration
		want      string
	}{
		"as it came":            {},
		"at the tolerance":      {at: 300},
		"before its time":       {at: -300},
		"too old":               {at: 301, want: "timestamp is outside"},
		"from the future":       {at: -301, want: "timestamp is outside"},
		"a narrow tolerance":    {at: 2, tolerance: time.Second, want: "timestamp is outside"},
		"a wide tolerance":      {at: 3600, tolerance: time.Hour},
		"another body":          {body: `{"type":"job.completeD"}`, want: "no signature"},
		"another secret":        {secret: ascending(31), want: "no signature"},
		"no secret":             {secret: []byte{}, want: "secret is empty"},
		"another ID":            {change: func(h http.Header) { h.Set("Webhook-Id", "job_01mqzk3v5x8y3") }, want: "no signature"},
		"a later timestamp":     {change: func(h http.Header) { h.Set("Webhook-Timestamp", "1763770001") }, want: "no signature"},
		"a padded timestamp":    {change: func(h http.Header) { h.Set("Webhook-Timestamp", "01763770000") }, want: "no signature"},
		"no number":             {change: func(h http.Header) { h.Set("Webhook-Timestamp", "now") }, want: "not a number"},
		"negative":              {change: func(h http.Header) { h.Set("Webhook-Timestamp", "-1763770000") }, want: "not a number"},
		"a huge number":         {change: func(h http.Header) { h.Set("Webhook-Timestamp", "9223372036854775807") }, want: "timestamp is outside"},
		"without an ID":         {change: func(h http.Header) { h.Del("Webhook-Id") }, want: "webhook-id is missing"},
		"without a timestamp":   {change: func(h http.Header) { h.Del("Webhook-Timestamp") }, want: "webhook-timestamp is missing"},
		"without any signature": {change: func(h http.Header) { h.Del("Webhook-Signature") }, want: "webhook-signature is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			h, secret, b := good(), ascending(32), body
			if tt.change != nil {
				tt.change(h)
			}
			if tt.secret != nil {
				secret = tt.secret
			}
			if tt.body != "" {
				b = []byte(tt.body)
			}
			err := webhook.Verify(secret, h, b, time.Unix(stamp+tt.at, 0), tt.tolerance)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSecretText(t *testing.T) {
	if got := webhook.Secret(ascending(32)); got != "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" {
		t.Error(got)
	}
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 24, 64).Draw(t, "secret")
		for _, text := range []string{webhook.Secret(secret), strings.TrimPrefix(webhook.Secret(secret), "whsec_")} {
			if got, err := webhook.ParseSecret(text); err != nil || !bytes.Equal(got, secret) {
				t.Fatalf("%q becomes %x, %v", text, got, err)
			}
		}
	})
	for _, text := range []string{"", "whsec_", webhook.Secret(ascending(23)), webhook.Secret(ascending(65)), "whsec_CANARY!" + strings.Repeat("A", 40)} {
		if got, err := webhook.ParseSecret(text); err == nil || got != nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%q becomes %x, %v", text, got, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("job_1", "1763770000", "v1,TJlJmkCOXeD+LNWF+TgpWUG7UCf323CoyG4v9jZ7SFg= v1,", []byte("{}"))
	f.Fuzz(func(t *testing.T, id, stamp, signature string, body []byte) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}
		if err := webhook.Verify(ascending(32), h, body, time.Unix(1763770000, 0), 0); err == nil {
			t.Fatalf("nobody signed %q %q %q %q", id, stamp, signature, body)
		}
	})
}
