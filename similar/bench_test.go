package similar_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/similar"
)

// sentence makes questions that have much in common, as those of one operation do.
func sentence(n int) string {
	verbs := strings.Fields("reset change cancel order find track close verify block renew")
	nouns := strings.Fields("password address card transfer account statement limit payment number refund")
	places := strings.Fields("app branch website shop office bank hotel station airport phone")
	return fmt.Sprintf("How do I %s the %s of my %s in the %s?", verbs[n%10], nouns[n/10%10], nouns[n/100%10], places[n/1000%10])
}

func BenchmarkFind(b *testing.B) {
	for _, sentences := range []int{1, 8, 40} {
		text := func(n int) string {
			var s strings.Builder
			for i := range sentences {
				s.WriteString(sentence(n+i*137) + " ")
			}
			return s.String()
		}
		x := similar.New(similar.Config{})
		for i := range 1000 {
			x.Add(group(1), key(i), text(i*7), time.Time{})
		}
		for name, asked := range map[string]string{"hit": strings.Replace(text(7*500), "do I", "can I", 1), "miss": text(3) + " Why?"} {
			b.Run(fmt.Sprintf("%s-of-%dB", name, len(asked)), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					x.Find(group(1), asked, 0, now)
				}
			})
		}
		b.Run(fmt.Sprintf("add-%dB", len(text(0))), func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				x.Add(group(2), key(1000+n), text(0), time.Time{})
			}
		})
	}
}

func BenchmarkAgree(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		similar.Agree(sentence(1), sentence(2))
	}
}
