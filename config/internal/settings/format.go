package settings

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Format writes a value as a file would, on one line, secrets as ***.
func Format(k Kind, v any) string {
	switch v := v.(type) {
	case time.Duration:
		return FormatDuration(v)
	case int64:
		switch k {
		case Size:
			return formatSize(v)
		case Dollars:
			return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%06d", v/1e6, v%1e6), "0"), ".")
		}
		return strconv.FormatInt(v, 10)
	case float64:
		if k == Ratio {
			return strconv.FormatFloat(v*100, 'g', 10, 64) + "%"
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	case llm.Secret:
		return v.String()
	case string:
		const most = 72
		line := strings.Join(strings.Fields(v), " ")
		if r := []rune(line); len(r) > most {
			return string(r[:most]) + "…"
		}
		return line
	}
	return fmt.Sprint(v)
}

// FormatDuration leaves out the zeros of Go's own form: 24h, not 24h0m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func formatSize(n int64) string {
	for _, u := range []struct {
		name   string
		factor int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.factor && n%u.factor == 0 {
			return strconv.FormatInt(n/u.factor, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}
