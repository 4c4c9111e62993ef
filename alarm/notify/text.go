package notify

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/forebay-ai/forebay/alarm"
)

// maxItems bounds the alarms of one notice that are spelled out. A screen of a telephone
// shows fewer; the rest is counted.
const maxItems = 20

// headline is what a notice says in one line of at most max characters.
func headline(n alarm.Notice, most int) string {
	word := strings.ToUpper(string(cmp.Or(n.Severity, alarm.Warning)))
	switch {
	case n.Test:
		word = "TEST"
	case n.Resolved:
		word = "RESOLVED"
	}
	return oneLine("["+word+"] "+cmp.Or(n.Title, "an alarm"), most)
}

// itemName is an alarm's name with the value of its label.
func itemName(it alarm.Item) string {
	if it.Of == "" {
		return oneLine(it.Name, 200)
	}
	return oneLine(it.Name+" ("+it.Of+")", 200)
}

// since says since when, in UTC, because receivers are anywhere.
func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// left says how many alarms are not spelled out, or nothing.
func left(n alarm.Notice) string {
	if more := len(n.Items) - maxItems; more > 0 {
		return fmt.Sprintf("and %d more", more)
	}
	return ""
}

// shown are the alarms that are spelled out.
func shown(n alarm.Notice) []alarm.Item { return n.Items[:min(len(n.Items), maxItems)] }

// oneLine makes one line of at most max characters of text: white space and characters
// that are not printed become single spaces.
func oneLine(text string, most int) string {
	return cut(strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "�"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " "), most)
}

// cut shortens text to at most most characters.
func cut(text string, most int) string {
	n := 0
	for i := range text {
		if n == most-1 && len(text) > i+1 && !endsAt(text[i:]) {
			return text[:i] + "…"
		}
		n++
	}
	return text
}

// endsAt says that rest is a single character.
func endsAt(rest string) bool {
	for i := range rest {
		if i > 0 {
			return false
		}
	}
	return true
}

// link returns address where it is an absolute http or https URL, and otherwise nothing.
// Everything else could run in a mail program.
func link(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}

// encodable returns n without numbers that JSON does not have.
func encodable(n alarm.Notice) alarm.Notice {
	items := append([]alarm.Item{}, n.Items...)
	for i := range items {
		if v := items[i].Value; math.IsNaN(v) || math.IsInf(v, 0) {
			items[i].Value, items[i].HasValue = 0, false
		}
	}
	n.Items = items
	return n
}

// validName is what a notifier may be called: names stand in configuration, in logs and in
// addresses of the console.
var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)

func nameFault(name string) error {
	if validName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("name %.70q: use 1 to 63 small letters, digits, dots, dashes and underscores", name)
}
