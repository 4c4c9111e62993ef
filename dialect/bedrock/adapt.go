package bedrock

import (
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// Adapt makes the body that a model of capabilities c takes, of a request in dialect
// Converse or Invoke. The parameters that it would refuse are left out, or, where refuse
// is set, the request is: an *llm.Error of kind CallerInvalidRequest that names the first
// one. dropped names them as paths (inferenceConfig.topP). The body is req.Body itself
// where nothing has to go; req is not changed, and its Notes are not told.
//
// Parameters are those that say how to answer: the ways of sampling, stop sequences, how
// much thought goes into it, marks for the prompt cache, and a bound of the answer over the model's own, which is
// lowered to that. Of temperature and top_p the first one stays where a model takes only
// one. A value that is the default anyway is left out without a word.
//
// What is asked is never left out: a question without its picture, its tools or its
// system prompt is another question. Where c lacks such content, refuse refuses, and
// without it the request goes on as it is, for the model itself to decide.
func Adapt(req *llm.Request, c Capabilities, refuse bool) (body []byte, dropped []string, err error) {
	if req.Endpoint != llm.Chat || !c.limits() {
		return req.Body, nil, nil
	}
	root := scan.Parse(req.Body, MaxDepth)
	if root == nil || root.Kind != '{' {
		return nil, nil, edge.Explain(req.Body)
	}
	a := adapter{Capabilities: c}
	if refuse {
		if e := a.content(req, root); e != nil {
			return nil, nil, e
		}
	}
	a.parameters(root)
	if !a.changed {
		return req.Body, nil, nil
	}
	if refuse && len(a.dropped) > 0 {
		return nil, nil, unsupported(req.Model, a.dropped[0], "Leave it out, or have Forebay drop what models do not take (on_unsupported: drop).")
	}
	return root.Append(make([]byte, 0, len(req.Body))), a.dropped, nil
}

// limits says that the model does not take everything.
func (c *Capabilities) limits() bool {
	all := c.Temperature && c.TopP && c.TopK && c.BothSampling && c.Stop && c.BlankStops && c.Effort && c.CachePoints
	return !all || !c.System || !c.Images || !c.Documents || !c.Tools || !c.Streaming || !c.ToolStreaming || c.MaxOutput > 0
}

func unsupported(model, param, fix string) *llm.Error {
	return &llm.Error{
		Kind: llm.CallerInvalidRequest, Param: param, Fix: fix, Model: model,
		Message: "model " + strconv.Quote(scan.Cut(model, maxName)) + " does not take " + param,
	}
}

// adapter takes parameters out of a body.
type adapter struct {
	Capabilities
	changed bool
	dropped []string
}

// drop takes a member out.
func (a *adapter) drop(n *scan.Node, path, name string) {
	*n = *n.Without(name)
	a.changed = true
	a.dropped = append(a.dropped, path+name)
}

// samplers are the parameters' names, in the order in which they are decided: those of
// all forms together.
var samplers = []struct {
	name string
	kind lacks
}{
	{"temperature", temperature},
	{"topP", topP},
	{"top_p", topP},
	{"topK", topK},
	{"top_k", topK},
	{"stopSequences", stops},
	{"stop_sequences", stops},
	{"effort", effort},
	{"maxTokens", 0},
	{"max_tokens", 0},
	{"max_new_tokens", 0},
	{"maxTokenCount", 0},
	{"max_gen_len", 0},
}

// parameters goes through the places where parameters stand.
func (a *adapter) parameters(root *scan.Node) {
	hot := false // a temperature was found
	for _, place := range [...]struct {
		path string
		node *scan.Node
	}{
		{"", root},
		{"inferenceConfig.", root.Get("inferenceConfig")},
		{"textGenerationConfig.", root.Get("textGenerationConfig")},
		{"outputConfig.", root.Get("outputConfig")},
		{"output_config.", root.Get("output_config")},
		{"additionalModelRequestFields.", root.Get("additionalModelRequestFields")},
		{"additionalModelRequestFields.inferenceConfig.", root.Get("additionalModelRequestFields").Get("inferenceConfig")},
		{"additionalModelRequestFields.output_config.", root.Get("additionalModelRequestFields").Get("output_config")},
	} {
		if place.node != nil && place.node.Kind == '{' {
			hot = a.sampled(place.node, place.path, hot) || hot
		}
	}
	if !a.Effort { // the object is refused too
		emptied(root, "outputConfig")
		emptied(root, "output_config")
		emptied(root.Get("additionalModelRequestFields"), "output_config")
	}
	if !a.CachePoints {
		a.uncache(root)
	}
}

// sampled goes through the parameters of one object, and reports whether it has a
// temperature. hot says that one came before.
func (a *adapter) sampled(n *scan.Node, path string, hot bool) bool {
	for _, s := range samplers {
		value := n.Get(s.name)
		switch {
		case value == nil || value.Is("null"):
			continue
		case s.kind == 0:
			a.lower(n, path, s.name)
			continue
		case s.kind == temperature && a.Temperature:
			hot = true
			continue
		case s.kind == stops && a.Stop:
			a.unblank(n, path, s.name)
			continue
		case s.kind == topP && a.TopP && (a.BothSampling || !hot), s.kind == topK && a.TopK, s.kind == effort && a.Effort:
			continue
		case (s.kind == temperature || s.kind == topP) && isOne(value):
			*n = *n.Without(s.name) // the default of temperature and top_p
			a.changed = true
			continue
		}
		a.drop(n, path, s.name)
	}
	return hot
}

// emptied takes a member out that is an object with nothing in it.
func emptied(n *scan.Node, name string) {
	if o := n.Get(name); o != nil && o.Kind == '{' && len(o.Names) == 0 {
		*n = *n.Without(name)
	}
}

// unblank takes stop sequences of nothing but white space out, where the model does not
// take such.
func (a *adapter) unblank(n *scan.Node, path, name string) {
	list := n.Get(name)
	if a.BlankStops || list.Kind != '[' {
		return
	}
	var kept []*scan.Node
	for i, stop := range list.Members {
		if stop.Kind != '"' || strings.TrimSpace(stop.String()) != "" {
			kept = append(kept, stop)
			continue
		}
		a.changed = true
		a.dropped = append(a.dropped, path+name+"["+strconv.Itoa(i)+"]")
	}
	if list.Members = kept; len(kept) == 0 {
		*n = *n.Without(name)
	}
}

func isOne(n *scan.Node) bool { return n.Is("1") || n.Is("1.0") }

// lower brings a bound over the model's own down to it.
func (a *adapter) lower(n *scan.Node, path, name string) {
	if most, ok := n.Get(name).Number(); a.MaxOutput > 0 && ok && most > int64(a.MaxOutput) {
		n.Set(name, number(int64(a.MaxOutput)))
		a.changed = true
		a.dropped = append(a.dropped, path+name)
	}
}

// uncache takes the marks for the prompt cache out: Converse's and Nova's are parts of
// their own, Anthropic's are members of parts.
func (a *adapter) uncache(root *scan.Node) {
	a.marks(root.Get("system"), "system")
	a.marks(root.Get("tools"), "tools")
	a.marks(root.Get("toolConfig").Get("tools"), "toolConfig.tools")
	for i, message := range root.Get("messages").Elements() {
		a.marks(message.Get("content"), "messages["+strconv.Itoa(i)+"].content")
	}
}

func (a *adapter) marks(list *scan.Node, path string) {
	if list == nil || list.Kind != '[' {
		return
	}
	var kept []*scan.Node
	for i, part := range list.Members {
		at := path + "[" + strconv.Itoa(i) + "]."
		if part.Get("cache_control") != nil {
			a.drop(part, at, "cache_control")
		}
		if part.Get("cachePoint") != nil && len(part.Names) == 1 {
			a.changed = true
			a.dropped = append(a.dropped, at+"cachePoint")
			continue
		}
		kept = append(kept, part)
	}
	list.Members = kept
}

// content finds what is asked that the model does not understand.
func (a *adapter) content(req *llm.Request, root *scan.Node) *llm.Error {
	const another = "Ask a model that does."
	hasTools := len(root.Get("toolConfig").Get("tools").Elements()) > 0 || len(root.Get("tools").Elements()) > 0
	switch {
	case !a.System && !root.Get("system").Empty():
		return unsupported(req.Model, "system", another)
	case !a.Streaming && req.Stream:
		return unsupported(req.Model, "streaming", "Ask for a whole answer, or a model that does.")
	case !a.Tools && hasTools:
		return unsupported(req.Model, "tools", another)
	case !a.ToolStreaming && hasTools && req.Stream:
		return unsupported(req.Model, "tools in a streamed answer", "Ask for a whole answer, or a model that does.")
	}
	for _, message := range root.Get("messages").Elements() {
		for _, part := range message.Get("content").Elements() {
			kind := part.Get("type").String()
			switch {
			case !a.Images && (part.Get("image") != nil || kind == "image"):
				return unsupported(req.Model, "images", another)
			case !a.Documents && (part.Get("document") != nil || kind == "document"):
				return unsupported(req.Model, "documents", another)
			}
		}
	}
	return nil
}
