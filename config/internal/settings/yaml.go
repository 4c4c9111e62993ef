package settings

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file. A configuration of a thousand models stays far below them;
// what is beyond is a mistake or an attack, and the parser takes quadratic time
// with deep nesting and with very many keys.
const (
	MaxFileBytes = 1 << 20
	maxTokens    = 40_000 // about 10,000 keys
	maxNesting   = 24     // the deepest key has 6 levels
	maxNodes     = 60_000 // aliases counted each time they are used
)

type nodeKind int

const (
	nullNode nodeKind = iota
	scalarNode
	mappingNode
	sequenceNode
)

// node is YAML without its ways of writing: quotes, anchors and block scalars are
// resolved, places are kept.
type node struct {
	kind         nodeKind
	text         string // of a scalar
	line, column int
	width        int // characters of a scalar on its line, quotes included; at least that
	entries      []entry
	items        []*node
	size         int // nodes in it, aliases resolved
}

type entry struct{ key, value *node }

// Place is a position in a source.
type Place struct{ line, column int }

func (n *node) place() Place { return Place{n.line, n.column} }

// yamlFault is a fault found while the text was taken apart.
type yamlFault struct {
	Place
	message, fix string
}

func (e *yamlFault) Error() string { return e.message }

// parseYAML reads one document. A nil node without an error is an empty document.
// Every error is a *yamlFault.
func parseYAML(content []byte) (root *node, err error) {
	// The parser is not ours, and has had panics on broken input: one that is still
	// in it is a fault of the file's for whoever starts the program.
	defer func() {
		if recover() != nil {
			root, err = nil, &yamlFault{Place: Place{1, 1}, message: "not valid YAML", fix: "Check the file with a YAML editor."}
		}
	}()
	return parseDocument(content)
}

func parseDocument(content []byte) (*node, error) {
	if len(content) > MaxFileBytes {
		return nil, &yamlFault{message: fmt.Sprintf("the file has %d bytes: at most %d", len(content), MaxFileBytes), fix: "Give a configuration file; long texts go into files of their own (personas.*.templates)."}
	}
	text := strings.TrimPrefix(string(content), "\ufeff")
	if at, ok := invalidUTF8(text); ok {
		return nil, &yamlFault{Place: at, message: "the file is not valid UTF-8", fix: "Save it as UTF-8."}
	}
	tokens := lexer.Tokenize(text)
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxFault(err)
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			return nil, faultAt(doc.Body, "the file has more than one YAML document", "Keep one; remove the line with ---.")
		}
		root = doc.Body
	}
	if root == nil {
		return nil, nil
	}
	c := converter{anchors: map[string]*node{}}
	return c.convert(root, 0)
}

func invalidUTF8(text string) (Place, bool) {
	for i, line := range strings.Split(text, "\n") {
		if utf8.ValidString(line) {
			continue
		}
		column := 1
		for _, r := range line {
			if r == utf8.RuneError {
				break
			}
			column++
		}
		return Place{i + 1, column}, true
	}
	return Place{}, false
}

// checkTokens bounds what the parser, which calls itself for each level, is given.
func checkTokens(tokens token.Tokens) error {
	tooDeep := func(t *token.Token) error {
		return &yamlFault{Place: tokenPlace(t), message: fmt.Sprintf("more than %d levels of nesting", maxNesting), fix: "No key lies so deep; check brackets and dashes."}
	}
	flow, marks, line := 0, 0, 0
	for i, t := range tokens {
		if i >= maxTokens {
			return &yamlFault{Place: tokenPlace(t), message: fmt.Sprintf("the file has more than %d words", maxTokens), fix: "Split it: one gateway for each group of models."}
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(0, flow-1)
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType, token.MappingValueType, token.DirectiveType:
			if t.Position.Line != line {
				line, marks = t.Position.Line, 0
			}
			if marks++; flow == 0 && marks > maxNesting {
				return tooDeep(t)
			}
		}
		anchors := (t.Type == token.AnchorType || t.Type == token.TagType) && marks > 4*maxNesting
		if flow > maxNesting || anchors {
			return tooDeep(t)
		}
	}
	return nil
}

func tokenPlace(t *token.Token) Place {
	if t == nil || t.Position == nil {
		return Place{1, 1}
	}
	return Place{max(1, t.Position.Line), max(1, t.Position.Column)}
}

// nodePlace is where a node begins. The parser gives block mappings the place of
// their first colon.
func nodePlace(n ast.Node) Place {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return tokenPlace(m.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return tokenPlace(m.Key.GetToken())
	}
	return tokenPlace(n.GetToken())
}

func syntaxFault(err error) error {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) {
		return &yamlFault{Place: Place{1, 1}, message: "not valid YAML", fix: "Check the file with a YAML editor."}
	}
	f := &yamlFault{Place: tokenPlace(syntax.Token), message: "not valid YAML: " + syntax.Message}
	switch {
	case strings.Contains(syntax.Message, "tab character") || strings.Contains(syntax.Message, "'\t'"):
		f.message, f.fix = "a tab where YAML wants spaces", "Indent with spaces."
	case strings.Contains(syntax.Message, "mapping value is not allowed"):
		f.fix = "Check the indentation, and put texts with a colon in quotes."
	case strings.Contains(syntax.Message, "not found") || strings.Contains(syntax.Message, "could not find end"):
		f.fix = "Something that opens here does not close: a bracket or a quote."
	case strings.Contains(syntax.Message, "reserved character"):
		f.fix = "Put the text in quotes."
	default:
		f.fix = "Check indentation, brackets and quotes around this place."
	}
	return f
}

func faultAt(n ast.Node, message, fix string) error {
	return &yamlFault{Place: nodePlace(n), message: message, fix: fix}
}

// converter makes nodes of the parser's tree. It resolves an alias to the very
// node of its anchor, and counts that node's size again.
type converter struct {
	anchors map[string]*node
	nodes   int
}

func (c *converter) convert(n ast.Node, depth int) (*node, error) {
	if depth > maxNesting {
		return nil, faultAt(n, fmt.Sprintf("more than %d levels of nesting", maxNesting), "No key lies so deep.")
	}
	made, err := c.make(n, depth)
	if err != nil {
		return nil, err
	}
	if made.line == 0 {
		p := nodePlace(n)
		made.line, made.column = p.line, p.column
	}
	made.size = max(1, made.size)
	if c.nodes++; c.nodes > maxNodes || made.size > maxNodes {
		return nil, faultAt(n, fmt.Sprintf("more than %d values, aliases counted each time they are used", maxNodes), "Write out what is meant instead of nesting aliases.")
	}
	return made, nil
}

// make makes the node without its place.
func (c *converter) make(n ast.Node, depth int) (*node, error) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return c.mapping(n.Values, depth)
	case *ast.MappingValueNode:
		return c.mapping([]*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		return c.sequence(n, depth)
	case *ast.AnchorNode:
		made, err := c.convert(n.Value, depth+1)
		if err == nil {
			c.anchors[n.Name.GetToken().Value] = made
		}
		return made, err
	case *ast.AliasNode:
		return c.alias(n)
	case *ast.TagNode:
		return nil, faultAt(n, "a YAML tag ("+n.GetToken().Value+")", "Remove it: the type of each value follows from its key.")
	case *ast.NullNode:
		return &node{kind: nullNode}, nil
	}
	return scalar(n)
}

func scalar(n ast.Node) (*node, error) {
	t := n.GetToken()
	made := &node{kind: scalarNode, text: t.Value, width: utf8.RuneCountInString(strings.TrimSpace(t.Origin))}
	switch n := n.(type) {
	case *ast.StringNode:
		made.text = n.Value
	case *ast.LiteralNode:
		made.text = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
	default:
		return nil, faultAt(n, "YAML that a configuration has no use for", "Write a plain value, a mapping or a list.")
	}
	return made, nil
}

func (c *converter) alias(n *ast.AliasNode) (*node, error) {
	name := n.Value.GetToken().Value
	target, ok := c.anchors[name]
	if !ok {
		return nil, faultAt(n, fmt.Sprintf("the alias *%s has no anchor &%s before it", name, name), "Define the anchor first, or put a text that begins with * in quotes.")
	}
	c.nodes += target.size
	return target, nil
}

func (c *converter) mapping(values []*ast.MappingValueNode, depth int) (*node, error) {
	made := &node{kind: mappingNode, size: 1}
	for _, v := range values {
		if v.Key.IsMergeKey() {
			return nil, faultAt(v.Key, "a merge key (<<)", "Write the keys out, or use an alias for a whole value.")
		}
		key, err := c.convert(v.Key, depth+1)
		if err != nil {
			return nil, err
		}
		if key.kind != scalarNode {
			return nil, faultAt(v.Key, "a key that is not a plain name", "Write a name.")
		}
		value, err := c.convert(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		made.entries = append(made.entries, entry{key, value})
		made.size += 1 + value.size
	}
	return made, nil
}

func (c *converter) sequence(n *ast.SequenceNode, depth int) (*node, error) {
	made := &node{kind: sequenceNode, size: 1}
	for _, v := range n.Values {
		item, err := c.convert(v, depth+1)
		if err != nil {
			return nil, err
		}
		made.items = append(made.items, item)
		made.size += item.size
	}
	return made, nil
}
