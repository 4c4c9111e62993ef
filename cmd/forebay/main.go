// Command forebay is the gateway and its tools in one binary: serve, demo, replay
// and the rest. It only connects the process to package cli, which has the
// commands.
package main

import (
	"os"

	"github.com/forebay-ai/forebay/internal/cli"
)

func main() { os.Exit(cli.Process()) }
