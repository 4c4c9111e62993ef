package awslambda

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/llm"
)

// Shape says what an event is. The set is closed.
type Shape string

// The shapes.
const (
	Warmup         Shape = "warm-up ping"
	FunctionURL    Shape = "Function URL"
	HTTPAPI        Shape = "API Gateway HTTP API (payload format 2.0)"
	RESTAPI        Shape = "API Gateway REST API (payload format 1.0)"
	LoadBalancer   Shape = "Application Load Balancer"
	Operation      Shape = `direct invocation {"operation": ..., "payload": ...}`
	Work           Shape = `direct invocation {"forebay": {"work": true}}`
	Schedule       Shape = "EventBridge schedule"
	DynamoDBStream Shape = "DynamoDB stream"
)

// Shapes lists the events that a Function takes.
func Shapes() []Shape {
	return []Shape{Warmup, FunctionURL, HTTPAPI, RESTAPI, LoadBalancer, Operation, Work, Schedule, DynamoDBStream}
}

// members are an event's own members, undecoded.
type members map[string]jsontext.Value

// read is strict: an object of members that are there once, in UTF-8.
func read(event []byte) (members, error) {
	m := members{}
	if err := json.Unmarshal(event, &m); err != nil || m == nil {
		return nil, &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: "the event is no JSON object, or not well formed", Fix: knownShapes(), Err: err,
		}
	}
	return m, nil
}

// text is a member that is a string; empty where it is none.
func (m members) text(name string) string {
	v := m[name]
	if v.Kind() != '"' {
		return ""
	}
	plain, _ := jsontext.AppendUnquote(nil, v) // what was decoded strictly is well formed
	return string(plain)
}

// has says that a member is there and not null.
func (m members) has(name string) bool {
	v, ok := m[name]
	return ok && v.Kind() != 'n'
}

// is says that a member is true.
func (m members) is(name string) bool { return m[name].Kind() == 't' }

// object is a member that is an object; empty where it is none.
func (m members) object(name string) members {
	if v := m[name]; v.Kind() == '{' {
		in := members{}
		if json.Unmarshal(v, &in) == nil {
			return in
		}
	}
	return members{}
}

// shapeOf tells events apart. Pings come first: they have to be cheap, and some are
// marked schedules.
func shapeOf(m members) (Shape, error) {
	switch {
	case isWarmup(m):
		return Warmup, nil
	case m.has("type") || m.has("methodArn") || m.has("routeArn"):
		return "", unknownEvent(m) // a question to an authorizer looks like a request
	case m.has("requestContext"):
		return httpShape(m)
	case m.has("operation"):
		return Operation, nil
	case m.has("forebay"):
		if m.object("forebay").is("work") {
			return Work, nil
		}
	case isSchedule(m):
		return Schedule, nil
	case isDynamoDB(m["Records"]):
		return DynamoDBStream, nil
	}
	return "", unknownEvent(m)
}

func httpShape(m members) (Shape, error) {
	in := m.object("requestContext")
	switch {
	case in.has("elb"):
		return LoadBalancer, nil
	case m.text("version") == "2.0" && in.has("http"):
		if strings.Contains(in.text("domainName"), ".lambda-url.") {
			return FunctionURL, nil
		}
		return HTTPAPI, nil
	case in.has("connectionId"): // a WebSocket
	case m.text("httpMethod") != "" && m.has("path"):
		return RESTAPI, nil
	}
	return "", unknownEvent(m)
}

// isSchedule recognises rules of EventBridge and schedules of EventBridge Scheduler
// that have no input of their own.
func isSchedule(m members) bool {
	return m.text("detail-type") == "Scheduled Event" && (m.text("source") == "aws.events" || m.text("source") == "aws.scheduler")
}

// isDynamoDB says that all of an event's records come from a table's stream.
func isDynamoDB(records jsontext.Value) bool {
	var list []struct {
		Source string `json:"eventSource"`
	}
	if records.Kind() != '[' || json.Unmarshal(records, &list) != nil || len(list) == 0 {
		return false
	}
	for _, r := range list {
		if r.Source != "aws:dynamodb" {
			return false
		}
	}
	return true
}

func knownShapes() string {
	names := make([]string, 0, len(Shapes()))
	for _, s := range Shapes() {
		names = append(names, string(s))
	}
	return "Send one of: " + strings.Join(names, "; ") + "."
}

// unknownEvent says what is known of an event that is not ours, without its content.
func unknownEvent(m members) *llm.Error {
	const most = 64
	what := ""
	for _, name := range []string{"source", "eventSource"} {
		if text := m.text(name); text != "" && len(text) <= most {
			what = " of " + printable(text)
		}
	}
	var list []struct {
		Source string `json:"eventSource"`
		Other  string `json:"EventSource"` // as SNS writes it
	}
	if v := m["Records"]; v.Kind() == '[' && json.Unmarshal(v, &list) == nil && len(list) > 0 {
		if text := list[0].Source + list[0].Other; text != "" && len(text) <= most {
			what = " of " + printable(text)
		}
	}
	return &llm.Error{
		Kind: llm.CallerInvalidRequest, Message: "this function does not take events" + what + " of this shape", Fix: knownShapes(),
	}
}

// printable replaces what is not visible ASCII.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
