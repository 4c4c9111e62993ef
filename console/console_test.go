package console

import (
	"math"
	"strconv"
	"testing"
	"time"
)

func TestRounded(t *testing.T) {
	for _, v := range []float64{0, 1, 0.1234567, 123456.789, -0.00012345678, 1e-9, 5, 0.95, 1.0 / 3, 1e12 + 1} {
		got := rounded(v)
		if v != 0 && math.Abs(got-v) > math.Abs(v)*1e-4 {
			t.Errorf("%v becomes %v", v, got)
		}
		if text := strconv.FormatFloat(got, 'g', -1, 64); len(text) > 11 {
			t.Errorf("%v is written as %s", v, text)
		}
	}
	if rounded(math.Inf(1)) != 0 || rounded(math.NaN()) != 0 {
		t.Error("JSON has no such number")
	}
}

func TestStepOf(t *testing.T) {
	for span := time.Minute; span <= maxWindow; span += 7 * time.Minute {
		if n := span / stepOf(span); n < 1 || n > maxSteps {
			t.Fatalf("%s has %d steps", span, n)
		}
	}
}
