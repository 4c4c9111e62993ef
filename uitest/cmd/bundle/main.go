// Command bundle makes dashboard/assets of dashboard/ui, and checks the sources' types:
//
//	cd uitest && go run ./cmd/bundle          # write
//	cd uitest && go run ./cmd/bundle -compare # say what differs, write nothing
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/forebay-ai/forebay/uitest/bundle"
)

func main() {
	root := flag.String("root", "..", "the repository's root")
	compare := flag.Bool("compare", false, "write nothing; fail where what is there differs")
	types := flag.Bool("types", true, "check the sources' types too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *root, *compare, *types); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string, compare, types bool) error {
	p := bundle.In(root)
	if err := p.Absolute(); err != nil {
		return err
	}
	if err := bundle.Install(ctx, p); err != nil {
		return err
	}
	if types {
		if err := bundle.Types(ctx, p); err != nil {
			return err
		}
	}
	files, err := bundle.Make(p)
	if err != nil {
		return err
	}
	if compare {
		differ, err := bundle.Compare(p, files)
		if err == nil && len(differ) > 0 {
			err = errors.New("dashboard/assets is not what its sources make:\n  " + strings.Join(differ, "\n  ") + "\nrun: cd uitest && go run ./cmd/bundle")
		}
		return err
	}
	size := 0
	for name, content := range files {
		if strings.HasSuffix(name, ".gz") && name != "licenses.txt.gz" {
			size += len(content)
		}
	}
	fmt.Printf("dashboard/assets: %d files, a page is %.1f KB compressed\n", len(files), float64(size)/1000)
	return bundle.Write(p, files)
}
