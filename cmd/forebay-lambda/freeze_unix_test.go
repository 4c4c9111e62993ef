//go:build unix

package main_test

import (
	"os"
	"syscall"
)

// freeze stops a process as Lambda does between invocations, and thaw lets it go on.
func freeze(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

func thaw(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
