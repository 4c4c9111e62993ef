package wire

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// poller waits for many clients at once: for the first byte or the end of what each sends.
// A goroutine that reads would take 2.5 KB for each of them. It may be used concurrently.
type poller struct {
	epoll *os.File // which Go's own poller watches
	raw   syscall.RawConn

	mu      sync.Mutex // guards all below
	last    uint32
	waiting map[uint32]*Detached
}

// newPoller makes a poller, which watches until it is closed. Nil where the system has none to give.
func newPoller() *poller {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	_ = syscall.SetNonblock(fd, true) // else Go would not watch it, and reading fails at once
	p := &poller{epoll: os.NewFile(uintptr(fd), "epoll"), waiting: map[uint32]*Detached{}}
	if p.raw, err = p.epoll.SyscallConn(); err != nil {
		_ = p.epoll.Close()
		return nil
	}
	go p.run()
	return p
}

// run tells of clients until the poller is closed.
func (p *poller) run() {
	var events [64]syscall.EpollEvent
	for {
		n := 0
		err := p.raw.Read(func(fd uintptr) bool {
			n, _ = syscall.EpollWait(int(fd), events[:], 0)
			return n > 0
		})
		if err != nil {
			if !errors.Is(err, fs.ErrClosed) {
				p.takeAll()
			}
			return
		}
		for _, e := range events[:n] {
			if d := p.take(uint32(e.Fd)); d != nil {
				go d.watch()
			}
		}
	}
}

// takeAll leaves every client to a goroutine of its own.
func (p *poller) takeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, d := range p.waiting {
		delete(p.waiting, id)
		go d.watch()
	}
	p.waiting = nil
}

// take returns the answer with this number, if its client still is to be told of.
func (p *poller) take(id uint32) *Detached {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.waiting[id]
	delete(p.waiting, id)
	return d
}

// add has d watched as soon as its client has sent something or is gone. It reports
// false where that cannot be done.
func (p *poller) add(d *Detached, c syscall.Conn) bool {
	raw, err := c.SyscallConn()
	if p == nil || err != nil || !p.enter(d) {
		return false
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: int32(d.number)}
	control := func(fd uintptr) {
		if err = p.control(syscall.EPOLL_CTL_ADD, fd, &event); errors.Is(err, syscall.EEXIST) { // of an earlier answer
			err = p.control(syscall.EPOLL_CTL_MOD, fd, &event)
		}
	}
	if failed := raw.Control(control); failed != nil || err != nil {
		return !p.forget(d) // told already
	}
	return true
}

// enter gives d its number.
func (p *poller) enter(d *Detached) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		return false
	}
	for p.last++; p.last == 0 || p.waiting[p.last] != nil; p.last++ { // 0 is nobody's
	}
	d.number = p.last
	p.waiting[d.number] = d
	return true
}

// remove forgets d, and reports whether it was to be told of.
func (p *poller) remove(d *Detached) bool {
	if !p.forget(d) {
		return false
	}
	if raw, err := d.conn.Conn.(syscall.Conn).SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = p.control(syscall.EPOLL_CTL_DEL, fd, nil) })
	}
	return true
}

// forget removes d, if it still is to be told of. Its number may be another's by now.
func (p *poller) forget(d *Detached) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting[d.number] != d {
		return false
	}
	delete(p.waiting, d.number)
	return true
}

// control changes what epoll watches.
func (p *poller) control(op int, fd uintptr, event *syscall.EpollEvent) (err error) {
	failed := p.raw.Control(func(epoll uintptr) { err = syscall.EpollCtl(int(epoll), op, int(fd), event) })
	return errors.Join(failed, err)
}

// close ends the poller. Nobody may be waiting any more.
func (p *poller) close() {
	if p != nil {
		_ = p.epoll.Close()
	}
}
