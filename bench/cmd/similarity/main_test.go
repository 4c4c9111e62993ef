package main

import (
	"math"
	"strings"
	"testing"
)

func TestSums(t *testing.T) {
	m := measured{name: "test", of: "pairs", all: [2]int{0, 4}}
	m.found[agree] = []found{
		{a: "a b", b: "a b.", score: 0.9, same: true, half: heldOut},
		{a: "a b", b: "A-b", score: 0.9, half: heldOut},
		{a: "€1", b: "£1", score: 0.9, half: heldOut},
		{a: "a", b: "a", score: 0.7, same: true, half: heldOut},
		{a: "a", b: "a", score: 0.9, same: true, half: tuned},
	}
	if got, want := m.sum(agree, heldOut, 0.8), (sums{accepted: 3, right: 1, excused: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	var out strings.Builder
	m.table(&out, heldOut)
	if want := "| 3 | 2 | 33.3 % | 66.7 % | 25.0 % |"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
}

func TestWilson(t *testing.T) {
	// 9 of 10, worked out by hand.
	if got := wilson(9, 10); math.Abs(got-0.5958) > 0.0005 {
		t.Errorf("wilson(9, 10) is %v", got)
	}
	if wilson(0, 0) != 0 {
		t.Error("nothing has a precision")
	}
}
