package scan

import (
	"math"
	"slices"
	"strconv"
)

// Edit puts Text in the place of a body's bytes from From to To.
type Edit struct {
	From, To int
	Text     string
}

// Splice returns a copy of body with the edits made, which must not overlap. It puts them
// into the order of the body.
func Splice(body []byte, edits []Edit) []byte {
	slices.SortFunc(edits, func(a, b Edit) int { return a.From - b.From })
	size := len(body)
	for _, e := range edits {
		size += len(e.Text) - (e.To - e.From)
	}
	out := make([]byte, 0, size)
	at := 0
	for _, e := range edits {
		out = append(append(out, body[at:e.From]...), e.Text...)
		at = e.To
	}
	return append(out, body[at:]...)
}

// AppendVector appends an array of numbers. Values that JSON has no number for
// (infinities, NaN) are written as 0.
func AppendVector(dst []byte, vector []float32) []byte {
	dst = append(dst, '[')
	for i, f := range vector {
		if i > 0 {
			dst = append(dst, ',')
		}
		wide := float64(f)
		if math.IsNaN(wide) || math.IsInf(wide, 0) {
			wide = 0
		}
		dst = strconv.AppendFloat(dst, wide, 'g', -1, 32)
	}
	return append(dst, ']')
}
