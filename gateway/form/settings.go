package form

import (
	"net/http"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/llm"
)

// settingPrefix begins the headers in which InvokeModel has what Converse has in its body.
const settingPrefix = "X-Amzn-Bedrock-"

// guardrail begins, after settingPrefix, what is about a guardrail.
const guardrail = "Guardrail"

// settingHeaders are those that are sent on, each with the value that asks for nothing.
var settingHeaders = [...][2]string{
	{settingPrefix + guardrail + "identifier", ""},
	{settingPrefix + guardrail + "version", ""},
	{settingPrefix + "Trace", "DISABLED"},
	{settingPrefix + "Performanceconfig-Latency", "standard"},
	{settingPrefix + "Service-Tier", "default"},
}

// Settings reads what a call of InvokeModel says in headers. dropped names those that are
// there and not sent on. What is about a guardrail is never dropped but refused where it is
// not known: one that is left out unseen is worse than none.
func Settings(h http.Header) (s llm.Settings, dropped []string, err error) {
	pairs := map[string]string{}
	for _, header := range settingHeaders {
		value := h.Get(header[0])
		switch {
		case len(h[header[0]]) > 1:
			return "", nil, Header(header[0], "is there more than once", "Send it once, as the AWS SDKs do.")
		case value == "" || value == header[1]:
		case len(value) > MaxName || !access.PlainText(value):
			return "", nil, Header(header[0], "is not one plain text", "Send it once, as the AWS SDKs do.")
		default:
			pairs[header[0]] = value
		}
	}
	for name := range h {
		rest, ok := strings.CutPrefix(name, settingPrefix)
		switch {
		case !ok || rest == "Accept" || rest == "Content-Type" || settingAt(name) >= 0: // those say what all answers are
		case strings.HasPrefix(rest, guardrail):
			return "", nil, Header(Printable(name, MaxName), "is not known", "Leave it out, or use Converse, whose guardrailConfig is sent on as it is.")
		default:
			dropped = append(dropped, Printable(name, MaxName))
		}
	}
	slices.Sort(dropped)
	return llm.MakeSettings(pairs), dropped, nil
}

// settingAt is where name stands in settingHeaders, -1 if nowhere.
func settingAt(name string) int {
	return slices.IndexFunc(settingHeaders[:], func(header [2]string) bool { return header[0] == name })
}

// NoSettings refuses the headers that are InvokeModel's alone, where they would not reach a
// model, and whatever else is about a guardrail. One whose values all ask for nothing is no
// fault. call says where that is.
func NoSettings(h http.Header, call string) error {
	found := "" // the first by name: a map has no order of its own
	for name, values := range h {
		if (found == "" || name < found) && asks(name, values) {
			found = name
		}
	}
	if found == "" {
		return nil
	}
	return Header(Printable(found, MaxName), "is not for "+call, "Use the body's guardrailConfig, performanceConfig and serviceTier, or InvokeModel.")
}

// asks says that a header asks a model for something, or may: one about a guardrail that is
// not known does so by being there.
func asks(name string, values []string) bool {
	rest, ok := strings.CutPrefix(name, settingPrefix)
	if !ok {
		return false
	}
	i := settingAt(name)
	if i < 0 {
		return strings.HasPrefix(rest, guardrail)
	}
	return slices.ContainsFunc(values, func(value string) bool { return value != "" && value != settingHeaders[i][1] })
}
