package similar

import "strings"

// frame is a way to begin a sentence, and another that asks the same.
type frame struct {
	from [][]string // words, each of a choice
	to   string
	ask  bool // only where a question word follows
}

// frames are tried in order, each once, at the beginning of every sentence.
var frames = map[language][]frame{
	english: {
		newFrame("can|could|would|will you tell|show me", "", true),
		newFrame("tell me", "", true),
		newFrame("do you know", "", true),
		newFrame("i want|need to know", "", true),
		newFrame("i would like|love to know", "", true),
		newFrame("how do|can|could i", "how to", false),
		newFrame("is it possible for me to", "can i", false),
		newFrame("could i", "can i", false),
		newFrame("am i able to", "can i", false),
		newFrame("i would like|love to", "i want to", false),
	},
	german: {
		newFrame("kannst|könntest du mir sagen", "", true),
		newFrame("können|könnten sie mir sagen", "", true),
		newFrame("sag mir", "", true),
		newFrame("sagen sie mir", "", true),
		newFrame("ich möchte|will wissen", "", true),
		newFrame("ich würde gern|gerne wissen", "", true),
		newFrame("weißt du", "", true),
		newFrame("wissen sie", "", true),
		newFrame("wie könnte ich", "wie kann ich", false),
		newFrame("ich will", "ich möchte", false),
		newFrame("ich würde gern|gerne", "ich möchte", false),
	},
}

// seeming are verbs with which "How do I" asks for something else than "How can I".
var seeming = set("look sound seem feel smell taste appear rank compare score do come")

func newFrame(from, to string, ask bool) frame {
	f := frame{to: to, ask: ask}
	for w := range fieldsOf(from) {
		f.from = append(f.from, strings.Split(w, "|"))
	}
	return f
}

// reframe gives sentences that begin alike one beginning.
func reframe(units []unit, in language) []unit {
	out := make([]unit, 0, len(units))
	for i := 0; i < len(units); i++ {
		if i == 0 || units[i].first {
			out, i = begin(out, units, i, in)
		}
		out = append(out, units[i])
	}
	return out
}

// begin appends the beginning of a sentence that is put otherwise, and returns where
// the rest of the sentence is.
func begin(out, units []unit, at int, in language) ([]unit, int) {
	for _, f := range frames[in] {
		n := f.match(units[at:], in)
		if n == 0 {
			continue
		}
		head := units[at]
		at += n
		units[at].first, units[at].opens, units[at].joined = true, units[at].opens || head.opens, head.joined
		if f.to != "" {
			head.closes = false
			out = appendAll(out, head, f.to)
			units[at].first, units[at].joined = false, false
			break
		}
	}
	return out, at
}

// match is how many units from the first on are the frame's words, or 0.
func (f *frame) match(units []unit, in language) int {
	if len(units) <= len(f.from) {
		return 0 // nothing would follow
	}
	for i, choice := range f.from {
		if units[i].kind != kindWord || i > 0 && units[i].first || !oneOf(units[i].text, choice) {
			return 0
		}
	}
	next := units[len(f.from)]
	if next.first || seeming[next.text] || f.ask && words()[in][next.text] != question {
		return 0
	}
	return len(f.from)
}

// oneOf is for a handful of words.
func oneOf(w string, choice []string) bool {
	for _, c := range choice {
		if w == c {
			return true
		}
	}
	return false
}
