//go:build unix

package envelope_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/forebay-ai/forebay/envelope"
)

// An administrator who rotates a service's key does not lock the service out.
func TestRotateMastersKeepsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "master.key")
	if _, err := envelope.EnsureMasters(path); err != nil {
		t.Fatal(err)
	}
	const uid, gid = 12345, 23456
	if err := os.Chown(path, uid, gid); err != nil {
		t.Skip("this file system or container keeps owners as they are:", err)
	}
	if err := envelope.RotateMasters(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if is, ok := info.Sys().(*syscall.Stat_t); ok && (is.Uid != uid || is.Gid != gid) {
		t.Errorf("the file belongs to %d:%d", is.Uid, is.Gid)
	}
	tidy(t, path)
}
