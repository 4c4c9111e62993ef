package main

import (
	_ "embed"

	"github.com/forebay-ai/forebay/cost/prices"
)

// amended is the name of the table of what was added by hand, and amendedOn its state.
const (
	amended   = "amendments"
	amendedOn = "2026-11-12"
)

//go:embed amendments.yaml
var amendmentsFile []byte

// amendments are rows for models that are newer than the tables.
func amendments() ([]prices.Entry, error) {
	o, err := prices.ParseOverride(amended, amendmentsFile)
	if err != nil {
		return nil, err
	}
	return o.Entries(), nil
}
