package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// FuzzAnswerText: the text does not depend on where an answer is cut.
func FuzzAnswerText(f *testing.F) {
	f.Add("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n\r\ndata: [DONE]\n\n", 7)
	f.Add("{\"a\":1}", 3)
	f.Add("dat", 1)
	f.Add(": x\ndata: {\"choices\":[{\"delta\":{\"content\":\"ä\"}},{\"delta\":{\"content\":\"b\"}}]}", 20)
	f.Fuzz(func(t *testing.T, answer string, cut int) {
		if cut < 0 || cut > len(answer) {
			return
		}
		var whole, parts answerText
		want := whole.add(answer) + whole.rest()
		got := parts.add(answer[:cut]) + parts.add(answer[cut:])
		if got += parts.rest(); got != want {
			t.Fatalf("cut at %d: %q, whole %q", cut, got, want)
		}
		if !whole.stream && want != answer {
			t.Fatalf("%q becomes %q", answer, want)
		}
	})
}

func TestAsk(t *testing.T) {
	for answer, yes := range map[string]bool{"y\n": true, "YES \n": true, "yes": true, "\n": false, "": false, "n\n": false, "yesterday\n": false} {
		var out bytes.Buffer
		err := ask(strings.NewReader(answer), &out, "Remove 2 jobs?")
		if (err == nil) != yes || out.String() != "Remove 2 jobs? [y/N] " {
			t.Errorf("%q: %v, %q", answer, err, &out)
		}
	}
}

func TestHarmless(t *testing.T) {
	if got := harmless("a\x1b[31mä\t\n\r\x00\u009b"); got != "a?[31mä\t\n???" {
		t.Errorf("%q", got)
	}
}

func TestAge(t *testing.T) {
	now := time.Date(2025, 11, 22, 12, 0, 0, 0, time.UTC)
	for at, want := range map[string]string{
		"2025-11-22T11:59:59.500Z": "0s", "2025-11-22T11:59:01Z": "59s", "2025-11-22T11:57:57Z": "2m03s",
		"2025-11-21T11:00:00Z": "25h00m", "2025-11-01T12:00:00Z": "21d", "2025-11-22T13:00:00Z": "0s", "soon": "",
	} {
		if got := age(at, now); got != want {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
}
