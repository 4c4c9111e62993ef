//go:build !windows && !linux

package awstest

import (
	"os/exec"
	"syscall"
)

// alone gives a program a process group of its own.
func alone(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
