package sigv4_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/access/sigv4"
	"github.com/forebay-ai/forebay/llm"
)

const (
	keyID  = "FOREBAYWEB0000000001"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var signedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// published are requests with the signatures that AWS gives for them: its test suite for
// Signature Version 4, and the example of the IAM user's guide. They are all of the key
// AKIDEXAMPLE, 2015-08-30 12:36 UTC, us-east-1.
func published() []struct{ name, raw, service, headers, signature string } {
	return []struct{ name, raw, service, headers, signature string }{
		{"get-vanilla", "GET / HTTP/1.1\r\n", "service", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"post-vanilla", "POST / HTTP/1.1\r\n", "service", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{"get-vanilla-query-order-key-case", "GET /?Param2=value2&Param1=value1 HTTP/1.1\r\n", "service", "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"get-unreserved", "GET /-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz HTTP/1.1\r\n", "service", "host;x-amz-date", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		{"get-header-value-trim", "GET / HTTP/1.1\r\nMy-Header1:   value1\r\nMy-Header2:  \"a   b   c\"\r\n", "service", "host;my-header1;my-header2;x-amz-date", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		{"post-header-key-sort", "POST / HTTP/1.1\r\nMy-Header1: value1\r\n", "service", "host;my-header1;x-amz-date", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
		{"post-x-www-form-urlencoded", "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 13\r\n\r\nParam1=value1", "service", "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		{"get-utf8", "GET /%E1%88%B4 HTTP/1.1\r\n", "service", "host;x-amz-date", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
		{"iam", "GET /?Action=ListUsers&Version=2010-05-08 HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n", "iam", "content-type;host;x-amz-date", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
	}
}

func TestPublishedExamples(t *testing.T) {
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	for _, c := range published() {
		t.Run(c.name, func(t *testing.T) {
			r := read(t, c.raw)
			r.Host = "example.amazonaws.com"
			if c.service == "iam" {
				r.Host = "iam.amazonaws.com"
			}
			r.Header.Set("X-Amz-Date", "20150830T123600Z")
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/"+c.service+"/aws4_request, SignedHeaders="+c.headers+", Signature="+c.signature)
			body, _ := io.ReadAll(r.Body)
			s, err := sigv4.Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(secret, r, sigv4.PayloadHash(body), at); err != nil {
				t.Error(err)
			}
			if err := s.Verify("another", r, sigv4.PayloadHash(body), at); typeOf(err) != "InvalidSignatureException" {
				t.Errorf("another secret: %v", err)
			}
		})
	}
}

// read makes a request of its text as a server would.
func read(t testing.TB, raw string) *http.Request {
	t.Helper()
	line, rest, _ := strings.Cut(raw, "\r\n")
	f := strings.Fields(line)
	heads, body, _ := strings.Cut(rest, "\r\n\r\n")
	r := httptest.NewRequest(f[0], f[1], strings.NewReader(body))
	for h := range strings.SplitSeq(heads, "\r\n") {
		if name, value, ok := strings.Cut(h, ":"); ok {
			r.Header.Add(name, value)
		}
	}
	return r
}

func typeOf(err error) string {
	var e *llm.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

// sign signs a request with the signer of AWS's SDK for Go and returns it as a server
// would see it.
func sign(t testing.TB, r *http.Request, body string, at time.Time, region string) *http.Request {
	t.Helper()
	creds := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, r, sigv4.PayloadHash([]byte(body)), "bedrock", region, at); err != nil {
		t.Fatal(err)
	}
	return arrived(r)
}

// arrived is a client's request as a server sees it.
func arrived(r *http.Request) *http.Request {
	in := httptest.NewRequest(r.Method, r.URL.RequestURI(), nil)
	in.Header, in.Host, in.ContentLength = r.Header.Clone(), r.Host, r.ContentLength
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	return in
}

const (
	body = `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`
	path = "http://127.0.0.1:8080/bedrock/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse"
)

func outgoing(t testing.TB) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Amz-Sdk-Invocation-Id", "5e2a5a2e-7f6c-4a51-8d8f-2b8c3c1d0e9f")
	r.Header.Set("Amz-Sdk-Request", "attempt=1; max=3")
	return r
}

func verify(r *http.Request, body string, now time.Time) error {
	s, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	return s.Verify(secret, r, sigv4.PayloadHash([]byte(body)), now)
}

func TestVerify(t *testing.T) {
	const (
		ok         = ""
		invalid    = "InvalidSignatureException"
		incomplete = "IncompleteSignatureException"
	)
	authorization := func(edit func(string) string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", edit(r.Header.Get("Authorization"))) }
	}
	replace := func(old, with string) func(*http.Request) {
		return authorization(func(a string) string { return strings.Replace(a, old, with, 1) })
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		want   string
	}{
		{"as it was signed", func(*http.Request) {}, ok},
		{"another method", func(r *http.Request) { r.Method = "PUT" }, invalid},
		{"another path", func(r *http.Request) { r.URL.RawPath += "-stream"; r.URL.Path += "-stream" }, invalid},
		{"the path decoded", func(r *http.Request) { r.URL.RawPath = "" }, invalid},
		{"a query", func(r *http.Request) { r.URL.RawQuery = "a=b" }, invalid},
		{"another host", func(r *http.Request) { r.Host = "localhost:8080" }, invalid},
		{"a signed header changed", set("Content-Type", "text/plain"), invalid},
		{"a signed header gone", func(r *http.Request) { r.Header.Del("Content-Type") }, invalid},
		{"a signed header twice", func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }, invalid},
		{"another length", func(r *http.Request) { r.ContentLength++ }, invalid},
		{"another attempt", set("Amz-Sdk-Request", "attempt=2; max=3"), invalid},
		{"a header of a proxy", set("X-Amzn-Trace-Id", "Root=1"), ok},
		{"a header of CloudFront", set("X-Amz-Cf-Id", "abc"), ok},
		{"a header that is none of AWS's", set("Traceparent", "00"), ok},
		{"an unsigned header of AWS's", set("X-Amz-Target", "x"), incomplete},
		{"a hash of the body, unsigned", set("X-Amz-Content-Sha256", sigv4.PayloadHash([]byte(body))), incomplete},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, incomplete},
		{"two dates", func(r *http.Request) { r.Header.Add("X-Amz-Date", "20260301T120000Z") }, incomplete},
		{"a date in another form", set("X-Amz-Date", "2026-03-01T12:00:00Z"), incomplete},
		{"another second", set("X-Amz-Date", "20260301T120001Z"), invalid},
		{"another day", set("X-Amz-Date", "20260302T120000Z"), invalid},
		{"another scope's day", replace("/20260301/", "/20260302/"), invalid},
		{"another region", replace("/eu-central-1/", "/us-east-1/"), invalid},
		{"another service", replace("/bedrock/", "/s3/"), invalid},
		{"another key id", replace(keyID, "FOREBAYWEB0000000002"), ok}, // the secret is what counts; whose it is, is looked up
		{"another algorithm", replace("HMAC-SHA256", "ECDSA-P256-SHA256"), incomplete},
		{"no credential", replace("Credential=", "Credentials="), incomplete},
		{"a short credential", replace("/aws4_request", ""), incomplete},
		{"a long credential", replace("/bedrock/", "/bedrock/x/"), incomplete},
		{"an empty region", replace("/eu-central-1/", "//"), incomplete},
		{"a part twice", authorization(func(a string) string { return a + ", Signature=" + strings.Repeat("0", 64) }), incomplete},
		{"no signature", authorization(func(a string) string { return a[:strings.Index(a, ", Signature")] }), incomplete},
		{"a short signature", authorization(func(a string) string { return a[:len(a)-2] }), incomplete},
		{"capitals in the signature", authorization(func(a string) string {
			i := strings.Index(a, "Signature=") + len("Signature=")
			return a[:i] + strings.Repeat("A", 64)
		}), incomplete},
		{"another signature", authorization(func(a string) string { return a[:len(a)-64] + strings.Repeat("0", 64) }), invalid},
		{"host not signed", replace("host;", ""), incomplete},
		{"headers unsorted", replace("SignedHeaders=amz-sdk-invocation-id;amz-sdk-request", "SignedHeaders=amz-sdk-request;amz-sdk-invocation-id"), incomplete},
		{"a header listed twice", replace("content-type;", "content-type;content-type;"), incomplete},
		{"a header in capitals", replace("content-type", "Content-Type"), incomplete},
		{"authorization twice", func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, incomplete},
		{"too long", replace("SignedHeaders=", "SignedHeaders="+strings.Repeat("a", 9000)+";"), incomplete},
		{"signed in the query as well", func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=00&X-Amz-Credential=a" }, incomplete},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := sign(t, outgoing(t), body, signedAt, "eu-central-1")
			c.change(r)
			if err := verify(r, body, signedAt); err == nil && c.want != ok || err != nil && typeOf(err) != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("another body", func(t *testing.T) {
		r := sign(t, outgoing(t), body, signedAt, "eu-central-1")
		if err := verify(r, body+" ", signedAt); typeOf(err) != invalid {
			t.Error(err)
		}
	})
}

func TestSkew(t *testing.T) {
	r := sign(t, outgoing(t), body, signedAt, "eu-central-1")
	for _, c := range []struct {
		off  time.Duration
		want string
	}{
		{0, ""},
		{sigv4.MaxSkew, ""},
		{-sigv4.MaxSkew, ""},
		{sigv4.MaxSkew + time.Second, "Signature expired: 20260301T120000Z is now earlier than 20260301T120001Z (20260301T120501Z - 5 min.)"},
		{-sigv4.MaxSkew - time.Second, "Signature not yet current: 20260301T120000Z is still later than 20260301T115959Z (20260301T115459Z + 5 min.)"},
	} {
		err := verify(r, body, signedAt.Add(c.off))
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.off, err)
			}
			continue
		}
		var e *llm.Error
		if !errors.As(err, &e) || e.Message != c.want || e.Code != "InvalidSignatureException" || e.Value != "5m0s" || e.Kind != llm.CallerUnauthenticated {
			t.Errorf("%s: %#v", c.off, e)
		}
	}
}

func TestPayloadHeader(t *testing.T) {
	hash := sigv4.PayloadHash([]byte(body))
	for value, want := range map[string]string{
		hash: "", "UNSIGNED-PAYLOAD": "IncompleteSignatureException", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": "IncompleteSignatureException",
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER": "IncompleteSignatureException", strings.ToUpper(hash): "IncompleteSignatureException", "00": "IncompleteSignatureException",
		sigv4.PayloadHash(nil): "InvalidSignatureException",
	} {
		out := outgoing(t)
		out.Header.Set("X-Amz-Content-Sha256", value)
		r := sign(t, out, body, signedAt, "eu-central-1")
		if err := verify(r, body, signedAt); err == nil && want != "" || err != nil && typeOf(err) != want {
			t.Errorf("%.20s: %v, want %s", value, err, want)
		}
	}
}

// authoritySigned is a request as the AWS SDK for JavaScript signs it for HTTP/2: with
// :authority in place of host.
func authoritySigned(t testing.TB) *http.Request {
	t.Helper()
	out := outgoing(t)
	canonical := strings.Join([]string{
		"POST", "/bedrock/model/eu.anthropic.claude-haiku-4-5-20251001-v1%253A0/converse", "",
		":authority:127.0.0.1:8080", "content-type:application/json", "x-amz-content-sha256:" + sigv4.PayloadHash([]byte(body)), "x-amz-date:20260301T120000Z", "",
		":authority;content-type;x-amz-content-sha256;x-amz-date", sigv4.PayloadHash([]byte(body)),
	}, "\n")
	out.Header.Set("X-Amz-Content-Sha256", sigv4.PayloadHash([]byte(body)))
	out.Header.Set("X-Amz-Date", "20260301T120000Z")
	scope := "20260301/eu-central-1/bedrock/aws4_request"
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", "20260301T120000Z", scope, sigv4.PayloadHash([]byte(canonical))}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range strings.Split(scope, "/") {
		key = sum(key, part)
	}
	out.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+keyID+"/"+scope+", SignedHeaders=:authority;content-type;x-amz-content-sha256;x-amz-date, Signature="+hex.EncodeToString(sum(key, toSign)))
	r := arrived(out)
	r.ProtoMajor = 2
	return r
}

func TestAuthority(t *testing.T) {
	r := authoritySigned(t)
	if err := verify(r, body, signedAt); err != nil {
		t.Error(err)
	}
	r.Host = "127.0.0.1:9090"
	if err := verify(r, body, signedAt); typeOf(err) != "InvalidSignatureException" {
		t.Errorf("another authority: %v", err)
	}
}

// What AWS's signer signs is found right, and what was changed after it is not.
func TestSignerAndVerifierAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		visible := rapid.StringMatching(`[!-~]{1,20}( {1,3}[!-~]{1,9}){0,2}`)
		segment := rapid.StringMatching(`([A-Za-z0-9._~!$&'()*+,;=:@-]|%3A|%2F|%20|%C3%A4){1,20}`)
		target := "http://gateway.example"
		for _, s := range rapid.SliceOfN(segment, 1, 4).Draw(rt, "path") {
			target += "/" + s
		}
		text := rapid.StringN(0, 40, 200).Draw(rt, "body")
		out, err := http.NewRequest(rapid.SampledFrom([]string{"GET", "POST", "PUT"}).Draw(rt, "method"), target, strings.NewReader(text))
		if err != nil {
			rt.Fatal(err)
		}
		q := out.URL.Query()
		for range rapid.IntRange(0, 4).Draw(rt, "parameters") {
			q.Add("p"+rapid.StringN(0, 3, 6).Draw(rt, "name"), rapid.StringN(0, 5, 15).Draw(rt, "value"))
		}
		out.URL.RawQuery = q.Encode()
		for i := range rapid.IntRange(0, 4).Draw(rt, "headers") {
			for range rapid.IntRange(1, 2).Draw(rt, "values") {
				out.Header.Add(fmt.Sprintf("%s-%d", rapid.SampledFrom([]string{"X-Amz-Meta", "X-Other", "Accept"}).Draw(rt, "name"), i), visible.Draw(rt, "value"))
			}
		}
		at := time.Unix(rapid.Int64Range(1e9, 4e9).Draw(rt, "at"), 0).UTC()
		r := sign(t, out, text, at, rapid.SampledFrom([]string{"eu-central-1", "us-east-1"}).Draw(rt, "region"))
		if err := verify(r, text, at); err != nil {
			rt.Fatalf("%s %s: %v", r.Method, r.URL, err)
		}
		changed := r.Clone(context.Background())
		switch rapid.IntRange(0, 3).Draw(rt, "change") {
		case 0:
			text += "x"
		case 1:
			changed.URL.Path, changed.URL.RawPath = changed.URL.Path+"x", ""
			if r.URL.RawPath != "" {
				changed.URL.RawPath = r.URL.RawPath + "x"
			}
		case 2:
			changed.Host += "x"
		case 3:
			changed.URL.RawQuery += "&x=y"
		}
		if err := verify(changed, text, at); typeOf(err) != "InvalidSignatureException" {
			rt.Fatalf("a changed request is taken: %v", err)
		}
	})
}

// FuzzParse: no header makes Parse or Verify fail in another way than by an error, and
// nothing that was not signed is found right.
func FuzzParse(f *testing.F) {
	r := sign(f, outgoing(f), body, signedAt, "eu-central-1")
	f.Add(r.Header.Get("Authorization"), r.Header.Get("X-Amz-Date"), "a=b", "")
	f.Add("AWS4-HMAC-SHA256 Credential=a/20260301/b/c/aws4_request,SignedHeaders=host;x-amz-date,Signature="+strings.Repeat("0", 64), "20260301T120000Z", "%zz", "STREAMING-X")
	f.Add("AWS4-HMAC-SHA256 ,,,===;;;", "", "x-amz-signature=1", "UNSIGNED-PAYLOAD")
	f.Fuzz(func(t *testing.T, authorization, date, query, content string) {
		r := httptest.NewRequest("POST", "/bedrock/model/x/converse", nil)
		r.URL.RawQuery = query
		r.Header["Authorization"], r.Header["X-Amz-Date"] = []string{authorization}, []string{date}
		if content != "" {
			r.Header["X-Amz-Content-Sha256"] = []string{content}
		}
		s, err := sigv4.Parse(r)
		if err == nil {
			if s.AccessKeyID == "" || len(s.SignedHeaders) == 0 {
				t.Fatalf("parsed to nothing: %+v", s)
			}
			err = s.Verify("a secret that nobody has", r, sigv4.PayloadHash(nil), s.Date)
		}
		var e *llm.Error
		if !errors.As(err, &e) || e.Kind != llm.CallerUnauthenticated {
			t.Fatalf("got %v", err)
		}
	})
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
