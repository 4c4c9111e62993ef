// Package table prints figures in columns.
package table

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Number prints what was measured; nothing where it was not.
func Number(v *float64, decimals int) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', decimals, 64)
}

// Grid prints rows in columns: the first to the left, the others to the right.
func Grid(w io.Writer, title string, rows [][]string) error {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	if _, err := fmt.Fprintf(w, "\n%s\n", title); err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range rows {
		first := r[0] + strings.Repeat(" ", width-len(r[0]))
		if _, err := fmt.Fprintln(tw, first+"\t"+strings.Join(r[1:], "\t")+"\t"); err != nil {
			return err
		}
	}
	return tw.Flush()
}

// Verdict is one line of what has to hold.
type Verdict struct {
	What, Seen, Wanted string
	OK                 bool
}

// ErrMissed says that something that has to hold does not.
var ErrMissed = errors.New("something that has to hold does not")

// Verdicts prints what has to hold. Its error is ErrMissed where something does not.
func Verdicts(w io.Writer, all []Verdict) error {
	rows := [][]string{{"what", "seen", "wanted", ""}}
	var err error
	for _, v := range all {
		word := "ok"
		if !v.OK {
			word, err = "MISSED", ErrMissed
		}
		rows = append(rows, []string{v.What, v.Seen, v.Wanted, word})
	}
	return errors.Join(Grid(w, "what has to hold", rows), err)
}
