//go:build !linux

package wire

import "syscall"

// poller waits for many clients at once, on Linux. Elsewhere a goroutine waits for each.
type poller struct{}

func newPoller() *poller                           { return nil }
func (p *poller) add(*Detached, syscall.Conn) bool { return false }
func (p *poller) remove(*Detached) bool            { return false }
func (p *poller) close()                           {}
