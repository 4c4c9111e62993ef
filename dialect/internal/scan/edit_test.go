package scan_test

import (
	"math"
	"testing"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

func TestSplice(t *testing.T) {
	for _, test := range []struct {
		edits []scan.Edit
		want  string
	}{
		{nil, "0123456789"},
		{[]scan.Edit{{From: 0, To: 10}}, ""},
		{[]scan.Edit{{From: 10, To: 10, Text: "end"}}, "0123456789end"},
		{[]scan.Edit{{From: 7, To: 8, Text: "seven"}, {From: 0, To: 0, Text: "from "}, {From: 2, To: 5}}, "from 0156seven89"},
		{[]scan.Edit{{From: 3, To: 4, Text: "a"}, {From: 4, To: 5, Text: "b"}}, "012ab56789"},
	} {
		body := []byte("0123456789")
		if got := string(scan.Splice(body, test.edits)); got != test.want || string(body) != "0123456789" {
			t.Errorf("%v: %q, body %q, want %q", test.edits, got, body, test.want)
		}
	}
}

func TestAppendVector(t *testing.T) {
	for _, test := range []struct {
		vector []float32
		want   string
	}{
		{nil, "x[]"},
		{[]float32{0.1, -2, 1e-10}, "x[0.1,-2,1e-10]"},
		{[]float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 3}, "x[0,0,0,3]"},
	} {
		if got := string(scan.AppendVector([]byte("x"), test.vector)); got != test.want {
			t.Errorf("%v: %s, want %s", test.vector, got, test.want)
		}
	}
}
