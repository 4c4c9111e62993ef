package notify

import (
	"strings"

	"github.com/forebay-ai/forebay/alarm"
)

// Slack's bounds (its reference of blocks): 150 characters of a header, 3,000 of a
// section's text, 50 blocks. A notice keeps clear of all of them.
const slackHeader = 150

// slackMessage is the body of an incoming webhook's request. Text is what notifications
// on telephones show.
type slackMessage struct {
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string         `json:"type"`
	Text     *slackString   `json:"text,omitempty"`
	Elements []*slackString `json:"elements,omitempty"`
}

type slackString struct {
	Type string `json:"type"`
	Text string `json:"text"`
	// Emoji and Verbatim are what keeps words with colons, and words that look like names
	// of channels, from becoming something else.
	Emoji    *bool `json:"emoji,omitempty"`
	Verbatim bool  `json:"verbatim,omitempty"`
}

// slackMessageOf is a notice in blocks: a header, one section for each alarm, and a line
// about where it comes from.
func slackMessageOf(n alarm.Notice) slackMessage {
	no := false
	m := slackMessage{Text: slackEscape(headline(n, 300), 1000)}
	m.Blocks = append(m.Blocks, slackBlock{
		Type: "header", Text: &slackString{Type: "plain_text", Text: headline(n, slackHeader), Emoji: &no},
	})
	for _, it := range shown(n) {
		m.Blocks = append(m.Blocks, slackBlock{Type: "section", Text: &slackString{Type: "mrkdwn", Text: slackItem(it), Verbatim: true}})
	}
	foot := []string{oneLine(n.Source, 100), since(n.At), left(n), oneLine(n.ID, 128)}
	var parts []string
	for _, part := range foot {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) > 0 {
		m.Blocks = append(m.Blocks, slackBlock{
			Type: "context", Elements: []*slackString{{Type: "plain_text", Text: strings.Join(parts, " · "), Emoji: &no}},
		})
	}
	return m
}

// slackItem is one alarm in Slack's markup. The bounds of its parts add up to less than
// Slack's for a section, so that nothing is cut where the markup would break.
func slackItem(it alarm.Item) string {
	var b strings.Builder
	b.WriteString("*" + slackEscape(itemName(it), 300) + "* " + slackEscape(string(it.Severity), 40))
	if it.State != "" {
		b.WriteString(", " + slackEscape(string(it.State), 40))
	}
	for _, line := range [...]struct {
		label, text string
		most        int
	}{
		{"", it.Message, 700}, {"", it.Reason, 700}, {"Since ", since(it.Since), 40}, {"What to do: ", it.Do, 600},
	} {
		if text := slackEscape(oneLine(line.text, line.most), line.most); text != "" {
			b.WriteString("\n" + line.label + text)
		}
	}
	if address := link(it.Runbook); address != "" && len(address) <= 200 {
		b.WriteString("\n<" + strings.ReplaceAll(slackEscape(address, 1000), "|", "%7C") + "|Runbook>")
	}
	return b.String()
}

// slackEscape takes the meaning from the three characters that Slack's reference names:
// with them gone there are no mentions, links or entities. Signs of emphasis change into
// others that look like them and mean nothing, but for the underscore, which names have.
// The result has at most most bytes, and ends with a whole character.
func slackEscape(text string, most int) string {
	var b strings.Builder
	for _, r := range text {
		piece := string(r)
		switch r {
		case '&':
			piece = "&amp;"
		case '<':
			piece = "&lt;"
		case '>':
			piece = "&gt;"
		case '*':
			piece = "＊"
		case '`':
			piece = "ˋ"
		case '~':
			piece = "∼"
		}
		if b.Len()+len(piece) > most-len("…") {
			return b.String() + "…"
		}
		b.WriteString(piece)
	}
	return b.String()
}
