package proc_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/proc"
)

// TestMain lets the test binary be a child of its own.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "work" {
		work()
		return
	}
	if len(os.Args) == 2 && os.Args[1] == "announce" {
		proc.Announce("127.0.0.1:1")
		return
	}
	os.Exit(m.Run())
}

// work computes until it has had 50 ms of CPU, however busy the machine is.
func work() {
	user := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for arguments that are none
		return time.Duration(u.Utime.Nano())
	}
	for start := user(); user()-start < 50*time.Millisecond; {
	}
}

func TestOwnCost(t *testing.T) {
	own := []int{os.Getpid()}
	before := proc.CPU(own)
	work()
	if used := proc.CPU(own) - before; used < 10*time.Millisecond || used > 5*time.Second {
		t.Errorf("50 ms of work cost %v", used)
	}
	if peak, now := proc.Memory(own); peak < now || now < 1<<20 {
		t.Errorf("peak %d, now %d bytes", peak, now)
	}
	big := make([]byte, 64<<20)
	for i := 0; i < len(big); i += 4096 {
		big[i] = 1
	}
	if peak, _ := proc.Memory(own); peak < 64<<20 {
		t.Errorf("peak of %d bytes with 64 MiB in use", peak)
	}
}

func TestTreeHasChildrenAndStopEndsThem(t *testing.T) {
	c, err := proc.Start(exec.Command("sleep", "60"))
	if err != nil {
		t.Fatal(err)
	}
	if tree := proc.Tree([]int{os.Getpid()}); tree[0] != os.Getpid() || !slices.Contains(tree, c.PID()) {
		t.Errorf("%d is not in %v", c.PID(), tree)
	}
	begin := time.Now()
	c.Stop()
	c.Stop()
	if d := time.Since(begin); d > 4*time.Second {
		t.Errorf("asked to stop, sleep took %v", d)
	}
	if err := c.Wait(); err == nil || slices.Contains(proc.Tree([]int{os.Getpid()}), c.PID()) {
		t.Errorf("still there: %v", err)
	}
	if peak, now := proc.Memory([]int{c.PID()}); peak+now != 0 || proc.CPU([]int{c.PID()}) != 0 {
		t.Error("a process that is gone has a cost")
	}
}

func TestCPUOfAChildThatHasEnded(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := proc.Start(exec.Command(self, "work"))
	if err != nil {
		t.Fatal(err)
	}
	if used := c.CPU(); used < 10*time.Millisecond || used > 5*time.Second {
		t.Errorf("50 ms of work cost %v", used)
	}
}

func TestServerSaysWhereItListens(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, addr, err := proc.StartServer(exec.Command(self, "announce"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stop()
	if addr != "127.0.0.1:1" {
		t.Errorf("address %q", addr)
	}
	if _, _, err := proc.StartServer(exec.Command("echo", "hello")); err == nil || !strings.Contains(err.Error(), "hello") {
		t.Errorf("a program that says something else: %v", err)
	}
	if _, _, err := proc.StartServer(exec.Command("no-such-program")); err == nil {
		t.Error("no error for a program that is not there")
	}
}
