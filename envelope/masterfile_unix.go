//go:build unix

package envelope

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives f to the owner of another file: an administrator who rotates the
// key of a service must not lock the service out.
func keepOwner(f *os.File, like fs.FileInfo) error {
	is, err := f.Stat()
	if err != nil {
		return err
	}
	a, aok := is.Sys().(*syscall.Stat_t)
	b, bok := like.Sys().(*syscall.Stat_t)
	if !aok || !bok || a.Uid == b.Uid && a.Gid == b.Gid {
		return nil
	}
	return f.Chown(int(b.Uid), int(b.Gid))
}
