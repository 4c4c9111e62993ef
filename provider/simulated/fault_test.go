package simulated_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/provider/simulated"
)

func TestParseFault(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for text, want := range map[string]simulated.Fault{
		"status=503,share=0.5,from=2s,to=10s,retry_after=1s": {
			Kind: simulated.FaultStatus, Status: 503, Share: 0.5, From: 2 * time.Second, To: 10 * time.Second, RetryAfter: time.Second,
		},
		"share=1, hang":                       {Kind: simulated.FaultHang, Share: 1},
		"latency=2.5":                         {Kind: simulated.FaultLatency, Factor: 2.5},
		"delay=500ms":                         {Kind: simulated.FaultDelay, Wait: 500 * time.Millisecond},
		"stall":                               {Kind: simulated.FaultStall},
		"stall=4":                             {Kind: simulated.FaultStall, After: 4},
		"trickle=1s":                          {Kind: simulated.FaultTrickle, Wait: time.Second},
		"cut=2,model=a=b":                     {Kind: simulated.FaultCut, After: 2, Model: "a=b"},
		"refuse":                              {Kind: simulated.FaultRefuse},
		"garbage=1":                           {Kind: simulated.FaultGarbage, After: 1},
		"error_event=2":                       {Kind: simulated.FaultErrorEvent, After: 2},
		"no_end":                              {Kind: simulated.FaultNoEnd},
		"cut,from=2026-01-02T15:04:05Z":       {Kind: simulated.FaultCut, Since: at},
		"cut,to=2026-01-02T15:04:05Z,from=1h": {Kind: simulated.FaultCut, Until: at, From: time.Hour},
	} {
		got, err := simulated.ParseFault(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestParseFaultExplains(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "an empty pair",
		"share=0.5":                  "no kind: one of status",
		"status=503,":                "an empty pair",
		"status":                     "a number from 400 to 599",
		"status=200":                 "status=200: from 400 to 599",
		"status=abc":                 "a number from 400 to 599",
		"latency=x":                  "latency=x: not a number",
		"latency=-1":                 "a factor from 0",
		"latency=NaN":                "not a number",
		"delay=1":                    "not a duration such as 1.5s",
		"delay=0s":                   "a duration above zero",
		"cut=-1":                     "cannot be fewer than 0",
		"cut=x":                      "a number of chunks",
		"hang=1":                     "hang takes no value",
		"cut,stall":                  "two kinds, cut and stall",
		"cut,cut":                    "cut stands there twice",
		"cut,share=0":                "above 0",
		"cut,share=2":                "1 at most",
		"cut,from=5s,to=2s":          "it ends before it begins",
		"cut,to=0s":                  "it would never begin",
		"cut,from=-1s":               "not below zero",
		"cut,to=tomorrow":            "neither a duration such as 2s nor a time",
		"cut,model=":                 "names no model",
		"cut,retry_after=1s":         "goes with status, not with cut",
		"status=503,retry_after=-1s": "not below zero",
		"explode":                    `unknown key "explode"`,
		"status=1,shre=2,latency=x":  `unknown key "shre"`,
		"cut,from=2026-01-02T15:04:05Z,to=2025-01-02T15:04:05Z": "it ends before it begins",
	} {
		f, err := simulated.ParseFault(text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: %v, want it to say %q", text, err, want)
		}
		if diff := cmp.Diff(simulated.Fault{}, f); diff != "" {
			t.Errorf("%q: a fault beside an error: %s", text, diff)
		}
	}
}

func TestFaultInJSON(t *testing.T) {
	want := []simulated.Fault{fault(t, "cut=2,share=0.25"), fault(t, "hang,model=m,to=1m0s")}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != `["cut=2,share=0.25","hang,model=m,to=1m0s"]` {
		t.Errorf("JSON %s", text)
	}
	var got []simulated.Fault
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What is read can be written and read again, and is valid.
func FuzzParseFault(f *testing.F) {
	for _, seed := range []string{
		"status=503,share=0.5,from=2s,to=10s,retry_after=1s", "latency=1e3", "cut=2,model=x", "no_end", "stall=,to=1h",
		"trickle=1ns,from=2026-01-02T15:04:05.5+01:00", "hang,share=1e-300", "delay=9999h", ",=,", "garbage=\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := simulated.ParseFault(text)
		if err != nil {
			return
		}
		if err := fault.Validate(); err != nil {
			t.Fatalf("%q was read and is not valid: %v", text, err)
		}
		again, err := simulated.ParseFault(fault.String())
		if err != nil {
			t.Fatalf("%q was written as %q, which cannot be read: %v", text, fault, err)
		}
		if again.String() != fault.String() {
			t.Fatalf("%q became %q and then %q", text, fault, again)
		}
	})
}

func ExampleParseFault() {
	f, err := simulated.ParseFault("status=503, share=0.5, from=2s, to=10s, retry_after=1s")
	fmt.Println(f, err)
	_, err = simulated.ParseFault("cut,stall,share=2x")
	fmt.Println(err)
	// Output:
	// status=503,share=0.5,from=2s,to=10s,retry_after=1s <nil>
	// fault "cut,stall,share=2x": two kinds, cut and stall: set two faults
	// share=2x: not a number
}
