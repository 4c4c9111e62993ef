package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/cost/prices/internal/tables"
)

// writeDocs renews what stands between the marks in the documentation.
func writeDocs(name, differences string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	made, err := tables.Document(differences)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, []byte(tables.MarkBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(tables.MarkEnd))
	if !ok || !ok2 {
		return fmt.Errorf("%s: the marks %q and %q are missing", name, tables.MarkBegin, tables.MarkEnd)
	}
	whole := slices.Concat(before, []byte(tables.MarkBegin), []byte(made), []byte(tables.MarkEnd), after)
	return os.WriteFile(name, []byte(strings.TrimRight(string(whole), "\n")+"\n"), 0o644)
}
