package backlogtest

import (
	"testing"

	"github.com/forebay-ai/forebay/backlog"
)

// rule is one sentence of the contract with its check.
type rule struct {
	name  string
	check func(t *testing.T, s backlog.Store)
}

// Store checks an implementation of backlog.Store. open returns an empty store, and
// has it closed by t.Cleanup where it needs to be.
func Store(t *testing.T, open func(t *testing.T) backlog.Store) {
	for _, rules := range [][]rule{insertRules(), applyRules(), listRules(), contentRules(), generalRules()} {
		for _, r := range rules {
			t.Run(r.name, func(t *testing.T) { r.check(t, open(t)) })
		}
	}
	t.Run("model", func(t *testing.T) { Model(t, open(t), nil) })
}
