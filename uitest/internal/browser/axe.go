package browser

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Violation is a rule of accessibility that a page breaks.
type Violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Summary string `json:"summary"`
	} `json:"nodes"`
}

// String tells of it on a few lines.
func (v Violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s", v.ID, v.Impact, v.Help)
	for i, n := range v.Nodes {
		if i == 5 {
			fmt.Fprintf(&b, "\n  and %d more", len(v.Nodes)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s\n    %s", n.HTML, strings.ReplaceAll(n.Summary, "\n", " "))
	}
	return b.String()
}

// Axe runs axe-core, whose text is source, over the page: every rule of WCAG 2.2 up to AA, and
// what axe calls best practices.
func (p *Page) Axe(source string) ([]Violation, error) {
	loaded, err := Eval[bool](p, "typeof window.axe === 'object'")
	if err != nil {
		return nil, err
	}
	if !loaded {
		if _, err := Eval[bool](p, source+"\n;true"); err != nil {
			return nil, fmt.Errorf("load axe-core: %w", err)
		}
	}
	text, err := Eval[string](p, `axe.run(document, {resultTypes: ['violations'],
		runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then((r) => JSON.stringify(
		r.violations.map((v) => ({id: v.id, impact: v.impact, help: v.help,
			nodes: v.nodes.map((n) => ({html: n.html.slice(0, 300), summary: n.failureSummary}))}))))`)
	if err != nil {
		return nil, fmt.Errorf("run axe-core: %w", err)
	}
	var found []Violation
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		return nil, fmt.Errorf("read what axe-core found: %w", err)
	}
	return found, nil
}
