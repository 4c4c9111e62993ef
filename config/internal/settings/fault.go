package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	// File is the file's name as it was given, or what stands in its place:
	// "environment MAX_QUEUE_SIZE", "flag --listen".
	File string
	// Line and Column count from 1, columns in characters. Both are 0 where there
	// is no place in a file.
	Line, Column int
	// Key is the configuration key, such as queue.max; may be empty.
	Key string
	// Message says what is wrong. It holds no secret.
	Message string
	// Fix says what to do about it.
	Fix string

	// excerpt is the line of the file with secrets masked; empty where there is none.
	excerpt string
	mark    int // column in excerpt; 0 where it is not shown
}

// String gives place, message and fix, and below them the line at fault with a
// mark under the column.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	b.WriteString(f.Message)
	if f.Fix != "" {
		b.WriteString("\n    ")
		b.WriteString(f.Fix)
	}
	if f.excerpt != "" {
		fmt.Fprintf(&b, "\n%5d | %s", f.Line, f.excerpt)
		if f.mark > 0 {
			fmt.Fprintf(&b, "\n      | %s^", pad(f.excerpt, f.mark))
		}
	}
	return b.String()
}

// pad is the space before the mark: tabs stay tabs, so that the mark stands right
// however wide a tab is shown.
func pad(line string, column int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= column-1 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Faults is the error of a configuration that cannot be used. It has at least one
// fault, in the order of the file, then of the environment and the flags.
type Faults struct {
	list []Fault
}

// Faults returns the faults. The slice is the caller's.
func (f *Faults) Faults() []Fault { return slices.Clone(f.list) }

// maxPrinted bounds the message: nobody reads further, and a file of another kind
// altogether has a fault in each line.
const maxPrinted = 100

// Error lists the faults, a hundred at most; Faults has all of them.
func (f *Faults) Error() string {
	parts := make([]string, 0, len(f.list)+1)
	if n := len(f.list); n > 1 {
		parts = append(parts, fmt.Sprintf("%d faults in the configuration", n))
	}
	for i, one := range f.list {
		if i == maxPrinted {
			parts = append(parts, fmt.Sprintf("and %d more", len(f.list)-i))
			break
		}
		parts = append(parts, one.String())
	}
	return strings.Join(parts, "\n")
}

// AsError sorts faults by place and makes the error; nil without faults. File is
// the configuration file, whose faults go first.
func AsError(list []Fault, file string) error {
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b Fault) int {
		rank := func(f Fault) int {
			if f.File == file {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Faults{list: list}
}
