// Package policychain puts Forebay's policies, in the order in which a call goes through
// them, beside the same policies of failsafe-go, and a breaker alone beside
// sony/gobreaker's: what does it cost a call that nothing is wrong with?
//
// Forebay in this package is the policies and nothing else: no request, no cache, no
// metrics. Client is the whole request path, for those who want to know.
//
//	go test -run '^$' -bench . -count 10 ./policychain
//	go run ./cmd/policychain        # in turns, with ratios
package policychain

import (
	"context"
	"errors"
)

// Call is what a chain of policies stands around. Its error is a failure of the target.
type Call func(context.Context) error

// Chain runs a call through its policies. It may be used concurrently.
type Chain func(ctx context.Context, call Call) error

// ErrFailed is the failure of a target in measurements and tests.
var ErrFailed = errors.New("the target failed")

// The settings of all chains: Forebay's defaults, and what comes nearest elsewhere.
const (
	slots       = 10
	retries     = 3
	retryShare  = 0.1
	consecutive = 5
	failureRate = 0.1
	minVolume   = 20
)
