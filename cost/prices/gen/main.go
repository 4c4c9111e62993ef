// Command gen writes cost/prices/prices.json from three public tables of prices, and the
// list of every difference between it and each of them, with its reason.
//
// It is run from cost/prices by go generate, or as
//
//	go run ./gen -data DIR [-out prices.json] [-differences differences.txt] [-docs ../../docs/prices.md]
//
// where DIR holds the tables' files. Its output depends on them, on amendments.yaml and on
// the reasons (cost/prices/internal/tables/reasons.yaml) alone. A difference without a
// reason is marked UNEXPLAINED, which fails a test until somebody has looked and written
// one.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/forebay-ai/forebay/cost/prices"
	"github.com/forebay-ai/forebay/cost/prices/internal/tables"
)

func main() {
	data := flag.String("data", "", "the folder of the three tables")
	out := flag.String("out", "prices.json", "the file of prices to write")
	list := flag.String("differences", "differences.txt", "the list of differences to write")
	docs := flag.String("docs", "../../docs/prices.md", "the documentation to bring up to date")
	flag.Parse()
	if err := run(*data, *out, *list, *docs); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(data, out, list, docs string) error {
	set, err := tables.Read(data)
	if err != nil {
		return err
	}
	rows, err := merge(set)
	if err != nil {
		return err
	}
	dates := map[string]string{}
	for _, v := range tables.Versions() {
		dates[v.Name] = v.Date
	}
	dates[amended] = amendedOn
	text, err := prices.Encode(dates, rows)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, text, 0o644); err != nil {
		return err
	}
	table, err := prices.Decode(text)
	if err != nil {
		return err
	}
	differences, err := tables.Explain(tables.Compare(table, set))
	if err != nil {
		return err
	}
	if err := os.WriteFile(list, []byte(differences), 0o644); err != nil {
		return err
	}
	return writeDocs(docs, differences)
}
