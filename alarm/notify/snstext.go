package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/forebay-ai/forebay/alarm"
)

// Bounds of SNS: 256 KiB of message and attributes together, 100 ASCII characters of a
// subject (reference of Publish), 140 of a short message's first part.
const (
	snsMessage = 256<<10 - 4<<10 // without the attributes
	snsSubject = 100
	snsShort   = 140
	// snsItemText bounds one text of an alarm, which stands in the message eight times.
	snsItemText = 500
	// snsNames bounds the names in the attribute alarm.
	snsNames = 20
)

// snsEvent is what machines get. Its members are those of a webhook's notice, and some
// that tell apart what belongs together.
type snsEvent struct {
	Version int    `json:"version"` // of this form
	Type    string `json:"type"`    // forebay.alarm
	// DedupKey is the same for everything that is sent about the same alarms: announced,
	// reminded of and resolved.
	DedupKey string `json:"dedup_key"`
	State    string `json:"state"` // firing, resolved or test
	alarm.Notice
	// More counts the alarms that Items has no room for.
	More int `json:"more,omitempty"`
}

// message is n as a request. The message has a text for each kind of subscription; with
// fewer alarms in it where it would be too long.
func (s *SNS) message(n alarm.Notice) (*sns.PublishInput, error) {
	most := min(len(n.Items), maxItems)
	body, err := snsBody(n, most)
	for err == nil && len(body) > snsMessage && most > 0 {
		most /= 2
		body, err = snsBody(n, most)
	}
	if err != nil {
		return nil, err
	}
	in := &sns.PublishInput{
		TopicArn: &s.topic, Subject: aws.String(asciiLine(headline(n, snsSubject), snsSubject)),
		Message: aws.String(string(body)), MessageStructure: aws.String("json"), MessageAttributes: snsAttributes(n),
	}
	if strings.HasSuffix(s.topic, ".fifo") {
		// What is about the same alarms arrives in order; other alarms need not wait.
		in.MessageGroupId = aws.String(dedupKey(n))
		in.MessageDeduplicationId = aws.String(eventID(n.ID))
	}
	return in, nil
}

// snsBody is what each kind of subscription gets: people a text, telephones a line, and
// programs JSON.
func snsBody(n alarm.Notice, most int) ([]byte, error) {
	event, err := json.Marshal(snsEventOf(n, most))
	if err != nil {
		return nil, err
	}
	short := n
	short.Items = n.Items[:most]
	text := plainText(short)
	if left := len(n.Items) - most; left > 0 {
		text += fmt.Sprintf("and %d more\n", left)
	}
	texts := map[string]string{"default": text, "email": text, "sms": asciiLine(headline(n, snsShort), snsShort)}
	for _, program := range []string{"http", "https", "sqs", "lambda", "firehose", "email-json"} {
		texts[program] = string(event)
	}
	return json.Marshal(texts)
}

func snsEventOf(n alarm.Notice, most int) snsEvent {
	e := snsEvent{Version: 1, Type: "forebay.alarm", DedupKey: dedupKey(n), State: snsState(n), Notice: encodable(n), More: len(n.Items) - most}
	e.Items = e.Items[:most]
	e.Title, e.Source, e.ID = oneLine(e.Title, snsItemText), oneLine(e.Source, 100), oneLine(e.ID, 128)
	for i := range e.Items {
		it := &e.Items[i]
		it.Name, it.Of = oneLine(it.Name, 200), oneLine(it.Of, 200)
		for _, text := range []*string{&it.Message, &it.Reason, &it.Do, &it.Runbook} {
			*text = oneLine(*text, snsItemText)
		}
	}
	return e
}

func snsState(n alarm.Notice) string {
	switch {
	case n.Test:
		return "test"
	case n.Resolved:
		return "resolved"
	}
	return "firing"
}

// dedupKey names what a notice is about: who sends it and which alarms, of which labels'
// values, whatever their order.
func dedupKey(n alarm.Notice) string {
	about := make([]string, 0, len(n.Items))
	for _, it := range n.Items {
		about = append(about, it.Name+"\x00"+it.Of)
	}
	slices.Sort(about)
	sum := sha256.Sum256([]byte(n.Source + "\x00\x00" + strings.Join(slices.Compact(about), "\x00\x00")))
	return hex.EncodeToString(sum[:16])
}

// snsAttributes are what subscriptions filter by.
func snsAttributes(n alarm.Notice) map[string]types.MessageAttributeValue {
	all := map[string]types.MessageAttributeValue{}
	set := func(name, value string) {
		if value != "" { // SNS refuses empty ones
			all[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
		}
	}
	set("severity", string(n.Severity))
	set("state", snsState(n))
	set("source", oneLine(n.Source, 100))
	set("notice", eventID(n.ID))
	set("dedup_key", dedupKey(n))
	if !n.At.IsZero() {
		set("at", n.At.UTC().Format(time.RFC3339))
	}
	var about []string
	for _, it := range n.Items {
		if name := oneLine(it.Name, 100); name != "" && !slices.Contains(about, name) && len(about) < snsNames {
			about = append(about, name)
		}
	}
	switch len(about) {
	case 0:
	case 1:
		set("alarm", about[0])
	default:
		list, err := json.Marshal(about)
		if err == nil { // strings alone: it is
			all["alarm"] = types.MessageAttributeValue{DataType: aws.String("String.Array"), StringValue: aws.String(string(list))}
		}
	}
	return all
}

// asciiLine is a text as a subject may be: ASCII, no line breaks, at most most characters,
// and not beginning with a space. Other characters become question marks.
func asciiLine(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '…':
			return '.'
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, oneLine(text, most))
	return text[:min(len(text), most)]
}
