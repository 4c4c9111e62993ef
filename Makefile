# Two commands do everything on a fresh machine: `go run ./cmd/forebay demo` and `make test`.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
GO ?= go

# DEMAND=1 runs everything, and makes a test that could not run fail the run.
DEMAND ?=
report := $(GO) run ./internal/testreport $(if $(DEMAND),-demand)
# Tests that take a minute run where everything is demanded.
export FOREBAY_LONG ?= $(if $(DEMAND),1)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: check
check: fmt vet lint tidy generated race ## everything that must hold before a commit

.PHONY: fmt
fmt: ## gofumpt: no file may differ
	@diff=$$(find . -name '*.go' -not -path '*/.testtools/*' -exec $(GO) tool gofumpt -l {} +); if [ -n "$$diff" ]; then echo "not formatted (go tool gofumpt -w FILE):"; echo "$$diff"; exit 1; fi

.PHONY: vet
vet: ## go vet, every module
	$(GO) vet ./...
	cd bench && $(GO) vet ./...
	cd sdktest && $(GO) vet ./...
	cd uitest && $(GO) vet ./...

.PHONY: lint
lint: ## staticcheck
	$(GO) tool staticcheck ./...

.PHONY: tidy
tidy: ## go.mod and go.sum are what the code needs
	$(GO) mod tidy -diff
	cd bench && $(GO) mod tidy -diff
	cd sdktest && $(GO) mod tidy -diff
	cd uitest && $(GO) mod tidy -diff

.PHONY: generated
generated: ## generated files are what their generators make
	$(GO) test ./config -run 'Reference' -count=1
	$(GO) test ./alarm ./alarm/export ./cost/prices/... ./deploy/observability -run 'Documentation|Committed|Generated|Deterministic|Differences|Golden' -count=1

.PHONY: race
race: ## all tests under the race detector, in random order
	$(GO) test -race -shuffle=on -timeout=30m -json $$($(GO) list ./... | grep -v -e /internal/crashtest -e /internal/mutants) | $(report)
# Left out there: crashtest and mutants watch other processes, which are not built for the detector.

.PHONY: test
test: ## all tests of all modules, each with its own set-up
	( rc=0; for module in . sdktest bench uitest; do ( cd $$module && $(GO) test -count=1 -timeout=30m -json ./... ) || rc=1; done; \
	  $(GO) test -count=1 -tags lambda.norpc -json ./awsclient/... ./internal/lambdaapp || rc=1; exit $$rc ) | $(report)
# The last ones again as they are in the function on Lambda, which is built with that tag.

.PHONY: bench
bench: ## Forebay beside a bare reverse proxy, interleaved in one run
	cd bench && $(GO) run ./cmd/gatewaybench

.PHONY: bench-cache
bench-cache: ## the cache beside otter alone and beside a gateway over Redis (wants redis-server)
	cd bench && $(GO) run ./cmd/cachebench

.PHONY: bench-overload
bench-overload: ## goodput from half to twenty times the capacity, and bursts of real arrivals
	cd bench && $(GO) run ./cmd/overload

.PHONY: bench-jobs
bench-jobs: ## the durable queue beside bare SQLite, River and asynq (wants postgresql, redis-server)
	cd bench && $(GO) run ./cmd/jobsbench

.PHONY: bench-outage
bench-outage: ## an outage under real arrivals, and recovery on the wall clock
	cd bench && $(GO) run ./cmd/outage

.PHONY: bench-policies
bench-policies: ## the policies of one call beside failsafe-go's and gobreaker's
	cd bench && $(GO) run ./cmd/policychain

.PHONY: bench-coldstart
bench-coldstart: ## from a Lambda function's process to its first byte, beside hello world
	cd bench && $(GO) run ./cmd/coldstart

.PHONY: bench-streams
bench-streams: ## ten thousand streams at once beside a bare reverse proxy
	cd bench && $(GO) run ./cmd/streams

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (default 20s)
	@for t in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | grep -v '^./bench'); do \
	  for f in $$(grep -ohE '^func Fuzz[A-Za-z0-9]+' $$t | sed 's/func //'); do \
	    echo "$$f in $$(dirname $$t)"; $(GO) test $$(dirname $$t) -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-20s} | tail -2; \
	  done; done
