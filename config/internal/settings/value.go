package settings

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/llm"
)

// Kind is the type of a key's value.
type Kind int

// The kinds, with the Go type of a value.
const (
	Text     Kind = iota // string
	Bool                 // bool
	Int                  // int64
	Duration             // time.Duration
	Size                 // int64, bytes
	Ratio                // float64, from 0 to 1
	Number               // float64, not negative
	Dollars              // int64, micro-dollars
	Choice               // string
	Choices              // []string
	Address              // string
	URL                  // string
	Secret               // llm.Secret
)

// String names the kind as the reference page does.
func (k Kind) String() string {
	return [...]string{
		"text", "true or false", "whole number", "duration", "size", "share", "number", "dollars",
		"choice", "list", "host:port", "URL", "secret",
	}[k]
}

// valueFault says why a text is no value of a key.
type valueFault struct{ message, fix string }

func (e *valueFault) Error() string { return e.message }

func wrong(fix, format string, args ...any) error {
	return &valueFault{message: fmt.Sprintf(format, args...), fix: fix}
}

// parse reads text as k's value. shown is how messages quote it: as it was written,
// before variables were filled in. The error is a *valueFault.
func (k *Key) parse(text, shown string) (any, error) {
	switch k.Kind {
	case Bool:
		return k.parseBool(text, shown)
	case Int, Duration, Size:
		return k.parseBounded(text, shown)
	case Ratio, Number:
		return k.parseFloat(text, shown)
	case Dollars:
		v, err := cost.ParseDollars(text)
		if err != nil {
			return nil, wrong("Write dollars for a million tokens, such as 0.25.", "%s is not an amount of dollars from 0, with at most six decimals", Quote(shown))
		}
		return v, nil
	case Choice:
		return k.parseChoice(text, shown)
	case Address:
		return parseAddress(text, shown)
	case URL:
		return parseURL(text)
	case Secret:
		if strings.TrimSpace(text) == "" {
			return nil, wrong("Give it, best through the environment: ${NAME}.", "the secret is empty")
		}
		return llm.Secret(text), nil
	}
	if strings.TrimSpace(text) == "" {
		return nil, wrong("Give a value, or remove the line.", "the value is empty")
	}
	return text, nil
}

// parseList reads the items of a list. With an error it gives the item at fault, or
// -1 for the list itself.
func (k *Key) parseList(items, shown []string) (any, int, error) {
	list := make([]string, 0, len(items))
	for i, item := range items {
		v, err := k.parseChoice(item, shown[i])
		if err != nil {
			return nil, i, err
		}
		if slices.Contains(list, v.(string)) {
			return nil, i, wrong("Remove one.", "%s stands twice in the list", Quote(shown[i]))
		}
		list = append(list, v.(string))
	}
	if len(list) == 0 && !k.Empty {
		return nil, -1, wrong("Write "+k.Example+", or remove the line.", "the list is empty")
	}
	return list, -1, nil
}

func (k *Key) parseBool(text, shown string) (any, error) {
	switch strings.ToLower(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, wrong("Write true or false.", "%s is neither true nor false", Quote(shown))
}

func (k *Key) parseChoice(text, shown string) (any, error) {
	if len(k.Choices) == 0 || slices.Contains(k.Choices, text) {
		return text, nil
	}
	return nil, wrong(Suggest(text, "values", k.Choices), "%s is not known here", Quote(shown))
}

func (k *Key) parseBounded(text, shown string) (any, error) {
	var n int64
	var err error
	switch k.Kind {
	case Duration:
		n, err = parseDuration(text)
	case Size:
		n, err = parseSize(text)
	default:
		n, err = strconv.ParseInt(text, 10, 64)
		if err != nil {
			err = errors.New("is not a whole number")
		}
	}
	if err != nil {
		return nil, wrong("Write "+k.Kind.article()+", such as "+k.sample()+".", "%s %s", Quote(shown), err)
	}
	if n < k.Low || k.High > 0 && n > k.High {
		return nil, wrong("Write "+k.Bounds()+".", "%s is out of range", Quote(shown))
	}
	if k.Kind == Duration {
		return time.Duration(n), nil
	}
	return n, nil
}

func (k Kind) article() string {
	switch k {
	case Duration:
		return "a duration with its unit"
	case Size:
		return "a size with its unit"
	}
	return "a " + k.String()
}

// sample is a good value: the example, or the default.
func (k *Key) sample() string {
	if k.Example != "" {
		return k.Example
	}
	return k.Initial
}

// Bounds says in words what is in range.
func (k *Key) Bounds() string {
	if k.High > 0 {
		return fmt.Sprintf("%s to %s", k.show(k.Low), k.show(k.High))
	}
	return fmt.Sprintf("%s or more", k.show(k.Low))
}

// show formats a bound.
func (k *Key) show(n int64) string {
	if k.Kind == Duration {
		return Format(Duration, time.Duration(n))
	}
	return Format(k.Kind, n)
}

func (k *Key) parseFloat(text, shown string) (any, error) {
	number, percent := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || percent && k.Kind != Ratio {
		if k.Kind == Ratio {
			return nil, wrong("Write a percentage such as 10%, or a share such as 0.1.", "%s is not a share", Quote(shown))
		}
		return nil, wrong("Write a number such as "+k.sample()+".", "%s is not a number", Quote(shown))
	}
	if percent {
		f /= 100
	}
	switch {
	case k.Kind == Ratio && (f < 0 || f > 1):
		return nil, wrong("Write 0% to 100%, or 0 to 1.", "%s is out of range", Quote(shown))
	case f < float64(k.Low) || k.High > 0 && f > float64(k.High):
		return nil, wrong("Write "+k.Bounds()+".", "%s is out of range", Quote(shown))
	}
	return f, nil
}

func parseDuration(text string) (int64, error) {
	d, err := time.ParseDuration(text)
	if err == nil && (text == "0" || strings.ContainsAny(text, "nuµmsh")) {
		return int64(d), nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseInt(days, 10, 32); err == nil {
			return 0, fmt.Errorf("has no unit that counts: days are written in hours, %dh", 24*n)
		}
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, errors.New("has no unit")
	}
	return 0, errors.New("is not a duration")
}

// parseSize reads bytes. KB and KiB both mean 1,024 bytes, because a bound of
// memory that is a little larger than meant harms less than a fault about a letter.
func parseSize(text string) (int64, error) {
	units := []struct {
		suffix string
		factor int64
	}{
		{"KiB", 1 << 10},
		{"MiB", 1 << 20},
		{"GiB", 1 << 30},
		{"TiB", 1 << 40},
		{"KB", 1 << 10},
		{"MB", 1 << 20},
		{"GB", 1 << 30},
		{"TB", 1 << 40},
		{"B", 1},
	}
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.factor {
			return 0, errors.New("is not a size")
		}
		return n * u.factor, nil
	}
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return 0, errors.New("has no unit")
	}
	return 0, errors.New("is not a size")
}

func parseAddress(text, shown string) (any, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return nil, wrong("Write host:port, such as 127.0.0.1:8080.", "%s is not an address", Quote(shown))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strings.HasPrefix(port, "+") {
		return nil, wrong("Write a port from 0 (any free one) to 65535.", "%s has no port that there can be", Quote(shown))
	} else if strings.ContainsAny(host, " \t/") {
		return nil, wrong("Write host:port, such as 127.0.0.1:8080.", "%s is not an address", Quote(shown))
	} else {
		return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
	}
}

// parseURL takes a base address. Messages do not quote it: a URL is where
// passwords are put by mistake.
func parseURL(text string) (any, error) {
	const fix = "Write it as https://api.example.com/v1."
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, wrong(fix, "the value is not a URL with a host")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, wrong(fix, "the URL begins neither with http:// nor with https://")
	case u.User != nil:
		return nil, wrong("Take it out of the URL and give it as api_key.", "the URL holds a name or a password")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, wrong(fix, "the URL has a query or a fragment; only its path can be extended")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Quote shows a value in a message, shortened.
func Quote(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return strconv.Quote(text)
}

// fromUnit turns a bare number of the row's unit into a duration's text. What has a
// unit already is taken as it is.
func (k *Key) fromUnit(text string) (string, error) {
	unit := time.Millisecond
	name := "milliseconds"
	switch k.Unit {
	case "":
		return text, nil
	case "h":
		unit, name = time.Hour, "hours"
	}
	if _, err := time.ParseDuration(text); err == nil && text != "0" {
		return text, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n < 0 || n > float64(math.MaxInt64)/float64(unit)/2 {
		return "", wrong("Write a number of "+name+", or a duration with its unit.", "%s is no number of %s", Quote(text), name)
	}
	return time.Duration(n * float64(unit)).String(), nil
}
