package gateway

import (
	"context"
	"net/http"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/gateway/form"
)

const (
	pathMetrics  = "/metrics"
	pathTargets  = "/v1/targets"
	pathBreakers = "/v1/breakers"
)

// operated is what operators see and change of a client.
type operated interface {
	Targets() []forebay.TargetStatus
	SetBreaker(ctx context.Context, actor, target string, action forebay.BreakerAction, reason string) error
}

// TargetList is the answer to GET /v1/targets, in the order of the targets' names.
type TargetList struct {
	Object string                 `json:"object"` // list
	Data   []forebay.TargetStatus `json:"data"`
}

// BreakerChange is the body of POST /v1/breakers. The answer is the target's
// forebay.TargetStatus after it.
type BreakerChange struct {
	Target string                `json:"target"`
	Action forebay.BreakerAction `json:"action"` // open, close or reset
	// Reason is for those who read the target's state and the audit; may be empty. Up
	// to 256 bytes of printable text.
	Reason string `json:"reason,omitempty"`
}

// operatorRoutes are the routes about targets.
func operatorRoutes() []route {
	return []route{
		{Route{"GET", pathTargets, access.Metrics, "The state of every target: breaker, limit, quota; with the scope admin too."}, problem, (*Gateway).listTargets},
		{Route{"POST", pathBreakers, access.Admin, "Forces a target's breaker open or closed, or leaves it to itself again."}, problem, (*Gateway).setBreaker},
	}
}

// listTargets serves GET /v1/targets.
func (g *Gateway) listTargets(x *visit) error {
	if _, err := form.Query(x.r.URL.RawQuery); err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, TargetList{Object: "list", Data: g.operated.Targets()})
}

// setBreaker serves POST /v1/breakers.
func (g *Gateway) setBreaker(x *visit) error {
	if _, err := form.Query(x.r.URL.RawQuery); err != nil {
		return err
	}
	body, err := x.readJSON()
	if err != nil {
		return err
	}
	in, err := readBreakerChange(body)
	if err != nil {
		return err
	}
	if err := g.operated.SetBreaker(x.r.Context(), x.grant.Name, in.Target, in.Action, in.Reason); err != nil {
		return err
	}
	for _, t := range g.operated.Targets() {
		if t.Name == in.Target {
			return x.answerJSON(http.StatusOK, t)
		}
	}
	return x.answerJSON(http.StatusOK, in) // cannot be: targets do not change
}

func readBreakerChange(body []byte) (in BreakerChange, err error) {
	if err := form.Unmarshal(body, &in); err != nil {
		return in, err
	}
	if in.Target == "" {
		return in, form.Member("target", "is missing", "Name the target; GET "+pathTargets+" lists them.")
	}
	switch in.Action {
	case forebay.BreakerOpen, forebay.BreakerClose, forebay.BreakerReset:
	case "":
		return in, form.Member("action", "is missing", form.OneOf("open", "close", "reset"))
	default:
		return in, form.Member("action", "has an unknown value", form.OneOf("open", "close", "reset"))
	}
	if in.Reason != "" {
		if err := form.Name(in.Reason, form.Member, "reason"); err != nil {
			return in, err
		}
	}
	return in, nil
}
