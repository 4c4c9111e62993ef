//go:build depsonly

package forebay

import (
	_ "github.com/anishathalye/porcupine"
	_ "github.com/klauspost/compress/zstd"
	_ "golang.org/x/text/unicode/norm"
	_ "modernc.org/sqlite"
)
