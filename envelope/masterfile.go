package envelope

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// maxMasterFile bounds a master key file in bytes: a thousand keys with comments.
const maxMasterFile = 256 << 10

// ReadMasters reads master keys, as ParseMasters knows them, from a file. It refuses
// a file that anybody but its owner can read or change.
func ReadMasters(path string) ([]Master, error) {
	text, _, err := readMasterFile(path)
	if err != nil {
		return nil, err
	}
	return parseMasterFile(path, text)
}

func parseMasterFile(path, text string) ([]Master, error) {
	masters, err := ParseMasters(text)
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, path)
	}
	return masters, nil
}

func readMasterFile(path string) (string, fs.FileInfo, error) {
	// Before it is opened, because opening a pipe may wait for ever.
	if info, err := os.Stat(path); err != nil {
		return "", nil, fmt.Errorf("envelope: master key file: %w", err)
	} else if !info.Mode().IsRegular() {
		return "", nil, fmt.Errorf("envelope: master key file %s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", nil, fmt.Errorf("envelope: master key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat() // of what was opened, whatever the name means by now
	if err != nil {
		return "", nil, fmt.Errorf("envelope: master key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" { // Windows has no such modes
		return "", nil, fmt.Errorf("envelope: master key file %s is open to its group or to others (mode %04o): run `chmod 600 %s`, and make a new key if somebody may have read it",
			path, mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxMasterFile+1))
	if err != nil {
		return "", nil, fmt.Errorf("envelope: master key file: %w", err)
	}
	if len(b) > maxMasterFile {
		return "", nil, fmt.Errorf("envelope: master key file %s has more than %d bytes: is it the right file?", path, maxMasterFile)
	}
	return string(b), info, nil
}

// EnsureMasters is ReadMasters where the file exists. Where it does not, it makes
// the file, for its owner only, with one random key, which a power cut does not undo
// when it returns. Processes that do so at the same time end with the same key. The
// directory must exist, on a file system with hard links.
func EnsureMasters(path string) ([]Master, error) {
	masters, err := ReadMasters(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return masters, err
	}
	if err := createMasterFile(path); err != nil {
		return nil, fmt.Errorf("envelope: make master key file: %w", err)
	}
	return ReadMasters(path)
}

// createMasterFile makes the file whole under another name and then links it, so
// that nobody ever reads half a key and a crash leaves no half file under the name.
func createMasterFile(path string) error {
	m, err := NewMaster()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new") // 0600, O_EXCL
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := writeAndClose(f, m.encode()+"\n"); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path)) // also when another process was first: its key is about to be used
}

// RotateMasters puts a new random master key at the head of a file and keeps what
// was there, so that what former keys wrapped can be unwrapped; a keyring uses the
// new key from its next New. When the file is on disk under its own name the old
// text is replaced at once: a crash leaves the one or the other. The file keeps its
// owner. Of two rotations at the same time one is refused.
func RotateMasters(path string) error {
	path, err := filepath.EvalSymlinks(path) // the file is replaced, not a link to it
	if err != nil {
		return fmt.Errorf("envelope: rotate master key: %w", err)
	}
	// The name is fixed because it is the lock, too: a rotation that was lost to
	// another one could already have wrapped keys.
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("envelope: rotate master key: %w: another rotation is under way or was cut off; if none is, remove that file, whose key was never used", err)
	}
	if err != nil {
		return fmt.Errorf("envelope: rotate master key: %w", err)
	}
	if err := replaceMasterFile(f, path); err != nil {
		return errors.Join(fmt.Errorf("envelope: rotate master key: %w", err), os.Remove(next))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("envelope: rotate master key: %w", err)
	}
	return nil
}

// replaceMasterFile fills next, closes it and renames it to path.
func replaceMasterFile(next *os.File, path string) error {
	text, info, err := readMasterFile(path)
	if err == nil {
		_, err = parseMasterFile(path, text)
	}
	if err == nil {
		err = keepOwner(next, info)
	}
	var m Master
	if err == nil {
		m, err = NewMaster()
	}
	if err != nil {
		return errors.Join(err, next.Close())
	}
	if err := writeAndClose(next, m.encode()+"\n"+text); err != nil {
		return err
	}
	return os.Rename(next.Name(), path)
}

func writeAndClose(f *os.File, text string) error {
	_, err := f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // directories cannot be synced there, and need not be
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
