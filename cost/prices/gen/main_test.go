package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The committed table is what this program makes of the public ones, every time.
func TestDeterministic(t *testing.T) {
	shared := os.Getenv("FOREBAY_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "..", "shared")
	}
	data := filepath.Join(shared, "data", "pricing")
	if _, err := os.Stat(data); err != nil {
		t.Skip("the public tables of prices are not here (set FOREBAY_SHARED to the folder that holds data/pricing): the table cannot be made again")
	}
	dir := t.TempDir()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "prices.md"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		docs := filepath.Join(dir, "prices.md")
		if err := os.WriteFile(docs, page, 0o600); err != nil {
			t.Fatal(err)
		}
		out, list := filepath.Join(dir, "prices.json"), filepath.Join(dir, "differences.txt")
		if err := run(data, out, list, docs); err != nil {
			t.Fatal(err)
		}
		for made, committed := range map[string]string{
			out: filepath.Join("..", "prices.json"), list: filepath.Join("..", "differences.txt"), docs: filepath.Join("..", "..", "..", "docs", "prices.md"),
		} {
			got, err := os.ReadFile(made)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(committed)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is not what is generated: run go generate ./cost/prices", committed)
			}
		}
	}
}

func TestFaults(t *testing.T) {
	dir := t.TempDir()
	if err := run(dir, filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")); err == nil {
		t.Error("no fault without data")
	}
	if err := writeDocs(filepath.Join(dir, "none.md"), ""); err == nil {
		t.Error("no fault without a page")
	}
}
