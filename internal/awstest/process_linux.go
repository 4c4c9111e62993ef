package awstest

import (
	"os/exec"
	"syscall"
)

// alone gives a program a process group of its own, and has the kernel end it with this process.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
