package xray_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/telemetry/xray"
)

func Example() {
	t, ok := xray.Parse("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
	fmt.Println(ok, t.Traceparent())
	back, ok := xray.ParseTraceparent(t.Traceparent())
	fmt.Println(ok, back.Header())
	// Output:
	// true 00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01
	// true Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1
}

// TestTraceID: the first four bytes are the time, the rest differs each time.
func TestTraceID(t *testing.T) {
	now := time.Unix(1_795_000_000, 999)
	seen := map[[16]byte]bool{}
	for range 10_000 {
		id := xray.TraceID(now)
		if seen[id] {
			t.Fatal("an id came twice")
		}
		seen[id] = true
		if text := hex.EncodeToString(id[:]); text[:8] != fmt.Sprintf("%08x", now.Unix()) || text[16:] == strings.Repeat("0", 16) {
			t.Fatalf("%s is not of %d", text, now.Unix())
		}
		if made, ok := xray.Time(id, now.Add(time.Hour)); !ok || made.Unix() != now.Unix() {
			t.Fatalf("made at %v", made)
		}
	}
	if _, ok := xray.Time([16]byte{0xff, 1}, now); ok {
		t.Error("a random id is taken for one with a time")
	}
}

func TestParse(t *testing.T) {
	const root = "1-67891233-abcdef012345678912345678"
	for _, test := range []struct {
		in     string
		ok     bool
		header string
	}{
		{"Root=" + root, true, "Root=" + root + ";Sampled=0"},
		{"Root=" + root + ";Parent=463ac35c9f6413ad;Sampled=1;Lineage=1:a87bd80c:1", true, "Root=" + root + ";Parent=463ac35c9f6413ad;Sampled=1"},
		{"Self=1-67891234-12456789abcdef012345678;Root=" + root, true, "Root=" + root + ";Sampled=0"},
		{" Sampled=? ; Root=" + root, true, "Root=" + root + ";Sampled=0"},
		{"Root=" + strings.ToUpper(root), true, "Root=" + root + ";Sampled=0"},
		{"Root=" + root + ";Parent=xyz", true, "Root=" + root + ";Sampled=0"},
		{"", false, ""},
		{"Parent=463ac35c9f6413ad", false, ""},
		{"Root=1-67891233-abcdef01234567891234567", false, ""},
		{"Root=2-67891233-abcdef012345678912345678", false, ""},
		{"Root=1-00000000-000000000000000000000000", false, ""},
		{"Root=1-6789123g-abcdef012345678912345678", false, ""},
		{"Root=" + root + ";" + strings.Repeat("x=y;", 500), false, ""},
	} {
		got, ok := xray.Parse(test.in)
		if ok != test.ok || ok && got.Header() != test.header {
			t.Errorf("%.100s: %v %s, want %v %s", test.in, ok, got.Header(), test.ok, test.header)
		}
	}
}

// TestWithoutParent: a load balancer names no parent, and the trace goes on.
func TestWithoutParent(t *testing.T) {
	got, _ := xray.Parse("Root=1-67891233-abcdef012345678912345678;Sampled=1")
	one, two := got.Traceparent(), got.Traceparent()
	if one == two || !strings.HasPrefix(one, "00-67891233abcdef012345678912345678-") || !strings.HasSuffix(one, "-01") {
		t.Errorf("%s and %s", one, two)
	}
}

func TestParseTraceparent(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for in, want := range map[string]bool{
		good: true, "01" + good[2:] + "-later": true, good[:53] + "00": true,
		"": false, "ff" + good[2:]: false, good + "-more": false, strings.ToUpper(good): false, good[:54]: false,
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": false, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": false,
		strings.Replace(good, "-", "_", 1): false, "01" + good[2:] + "x": false,
	} {
		if got, ok := xray.ParseTraceparent(in); ok != want || ok && got.Sampled != strings.HasSuffix(in[:55], "-01") {
			t.Errorf("%s: %v %+v", in, ok, got)
		}
	}
}

// TestRoundTrip: both forms carry the same.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := xray.Trace{Sampled: rapid.Bool().Draw(t, "sampled")}
		copy(in.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		copy(in.Parent[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "parent"))
		in.ID[15] |= 1
		in.Parent[7] |= 1
		if got, ok := xray.Parse(in.Header()); !ok || got != in {
			t.Fatalf("%s: %+v", in.Header(), got)
		}
		if got, ok := xray.ParseTraceparent(in.Traceparent()); !ok || got != in {
			t.Fatalf("%s: %+v", in.Traceparent(), got)
		}
	})
}

// FuzzParse: whatever comes, what is taken can be written and is read again the same.
func FuzzParse(f *testing.F) {
	f.Add("Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad;Sampled=1")
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := xray.Parse(text); ok {
			if again, ok := xray.Parse(got.Header()); !ok || again != got {
				t.Errorf("%q: %+v, then %+v", text, got, again)
			}
		}
		if got, ok := xray.ParseTraceparent(text); ok {
			if again, ok := xray.ParseTraceparent(got.Traceparent()); !ok || again != got {
				t.Errorf("%q: %+v, then %+v", text, got, again)
			}
		}
	})
}
