package top

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// colour is a parameter of ANSI's "select graphic rendition".
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	red    colour = "1;31"
	green  colour = "32"
	yellow colour = "33"
)

// paint colours a text, where colour is wanted. Spaces at its end stay as they are.
func (p *page) paint(c colour, s string) string {
	inner := strings.TrimRight(s, " ")
	if !p.opts.Colour || c == plain || inner == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + inner + "\x1b[0m" + s[len(inner):]
}

// clean makes a text from the gateway harmless: one line of printable characters.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return '?'
	}, s)
}

// nothing stands where nothing was measured.
const nothing = "-"

// seconds is a duration to two digits or three; 0 means that none was measured.
func seconds(v float64) string {
	switch {
	case !(v > 0): // nor is what is not a number
		return nothing
	case v < 0.00095:
		return strconv.FormatFloat(v*1e6, 'f', 0, 64) + "us"
	case v < 0.00995:
		return strconv.FormatFloat(v*1e3, 'f', 1, 64) + "ms"
	case v < 0.9995:
		return strconv.FormatFloat(v*1e3, 'f', 0, 64) + "ms"
	case v < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64) + "s"
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64) + "s"
	case v < 5999.5:
		return strconv.FormatFloat(v, 'f', 0, 64) + "s"
	case v < 1e9:
		return strconv.FormatFloat(v/3600, 'f', 1, 64) + "h"
	}
	return "long"
}

// percent is a share of 1.
func percent(share float64) string {
	switch v := share * 100; {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return nothing
	case v == 0 || v == 100:
		return fmt.Sprintf("%.0f%%", v)
	case v < 0.1 && v > 0:
		return "<0.1%"
	case v > 99.9 && v < 100:
		return ">99.9%"
	case v < 1e4:
		return fmt.Sprintf("%.1f%%", v)
	}
	return ">9999%"
}

// count is a number in at most seven characters: whole below a million.
func count(n int64) string {
	switch v := float64(n); {
	case n < 0:
		return "-" + count(max(-n, 0))
	case n < 1e6:
		return thousands(n)
	case v < 999.95e6:
		return fmt.Sprintf("%.1fM", v/1e6)
	case v < 999.95e9:
		return fmt.Sprintf("%.1fG", v/1e9)
	}
	return fmt.Sprintf("%.0fG", float64(n)/1e9)
}

// thousands groups the digits of a number below a million.
func thousands(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// rate is a number a second.
func rate(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return nothing
	case v == 0:
		return "0"
	case v < 0.01:
		return "<0.01"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return count(int64(min(v, 1e15) + 0.5))
}

// money is micro-dollars in dollars, to the cent from ten cents on.
func money(micro int64) string {
	switch usd := float64(micro) / 1e6; {
	case micro < 0:
		return "-" + money(max(-micro, 0))
	case micro == 0:
		return "$0"
	case micro < 100:
		return "<$0.0001"
	case micro < 100_000:
		return fmt.Sprintf("$%.4f", usd)
	case usd < 999.995:
		return fmt.Sprintf("$%.2f", usd)
	default:
		return "$" + count(int64(usd+0.5))
	}
}
