//go:build linux

package crashtest_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// stage is a thread of the operating system of its own. The processes that it starts
// die with it, and what it mounts is seen by it and them alone: when this program
// ends, however it does, the kernel ends the processes, unmounts, and frees the loop
// devices.
type stage struct {
	work  chan func()
	ended chan struct{}
}

// newStage opens a stage that is closed with the test. With private it has mounts of
// its own, for which the process has to be root.
func newStage(t *testing.T, private bool) *stage {
	t.Helper()
	s := &stage{work: make(chan func()), ended: make(chan struct{})}
	failed := make(chan error)
	go func() {
		defer close(s.ended)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := error(nil)
		if private {
			err = errors.Join(syscall.Unshare(syscall.CLONE_NEWNS),
				syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
		}
		failed <- err
		for f := range s.work {
			f()
		}
	}()
	err := <-failed
	t.Cleanup(func() {
		close(s.work)
		<-s.ended
	})
	if err != nil {
		t.Skipf("mounts of its own need root (CAP_SYS_ADMIN): %v", err)
	}
	return s
}

// do calls f on the stage.
func (s *stage) do(f func() error) error {
	done := make(chan error)
	s.work <- func() { done <- f() }
	return <-done
}

// start starts a process that dies with the stage.
func (s *stage) start(c *exec.Cmd) error {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return s.do(c.Start)
}

// run runs a command and returns what it printed.
func (s *stage) run(name string, arguments ...string) (string, error) {
	c := exec.Command(name, arguments...)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	err := s.start(c)
	if err == nil {
		err = c.Wait()
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, strings.TrimSpace(out.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// disk is an ext4 file system in a file, whose power can be cut. Its loop device
// frees itself when the file system is unmounted.
type disk struct {
	*stage
	image, dir string // dir exists on the stage alone
}

// newDisk makes and mounts a disk of some MiB below dir. Where that cannot be, the
// test is skipped.
func newDisk(t *testing.T, dir string, mib int64) *disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("power cuts need root: they mount a file system and shut it down")
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("power cuts need %s (Debian: e2fsprogs, mount): %v", tool, err)
		}
	}
	d := &disk{stage: newStage(t, true), image: filepath.Join(dir, "disk.ext4"), dir: filepath.Join(dir, "disk")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(d.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(mib<<20), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.run("mkfs.ext4", "-q", "-F", d.image); err != nil {
		t.Fatal(err)
	}
	if err := d.mount(); err != nil {
		t.Skipf("power cuts need loop devices: %v", err)
	}
	t.Cleanup(func() {
		if err := d.unmount(); err != nil {
			t.Errorf("the disk stays mounted until the test program ends: %v", err)
		}
	})
	return d
}

func (d *disk) mount() error {
	_, err := d.run("mount", "-o", "loop", d.image, d.dir)
	return err
}

func (d *disk) unmount() error {
	_, err := d.run("umount", d.dir)
	return err
}

// The request that ends a file system as a power cut would: ext4, xfs and f2fs know it
// as FS_IOC_SHUTDOWN (include/uapi/linux/fs.h, _IOR('X', 125, __u32)). With noLogFlush
// the journal's pages that were not written are forgotten too.
const (
	shutdownRequest = 0x8004587d
	noLogFlush      = 2
)

// cut cuts the power: nothing that was not synced is there after the next mount.
func (d *disk) cut() error {
	return d.do(func() error {
		f, err := os.Open(d.dir)
		if err != nil {
			return err
		}
		defer f.Close()
		flags := uint32(noLogFlush)
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdownRequest, uintptr(unsafe.Pointer(&flags))); e != 0 {
			return fmt.Errorf("FS_IOC_SHUTDOWN: %w", e)
		}
		return nil
	})
}

// restore is the start of the machine after a cut: the journal is replayed.
func (d *disk) restore() error {
	if err := d.unmount(); err != nil {
		return err
	}
	return d.mount()
}
