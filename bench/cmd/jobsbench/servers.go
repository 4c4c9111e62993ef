package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/proc"
)

// freePort finds a port of the loopback interface that is free now.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// whenUp waits until something accepts connections at addr.
func whenUp(ctx context.Context, addr string, child *proc.Child) error {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-child.Done():
			return fmt.Errorf("the server at %s ended at once: %w", addr, child.Wait())
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
	}
	return fmt.Errorf("nothing listens on %s", addr)
}

// startRedis starts a Redis that syncs every write before it answers.
func startRedis(ctx context.Context, dir string) (*proc.Child, string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", err
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	child, err := proc.Start(cmd)
	if err != nil {
		return nil, "", fmt.Errorf("redis-server (package redis-server): %w", err)
	}
	if err := whenUp(ctx, addr, child); err != nil {
		child.Stop()
		return nil, "", err
	}
	return child, addr, nil
}

// startPostgres makes a cluster with the server's own settings, which sync at each
// commit, and starts it. It does not run as root: then it gets the account postgres.
func startPostgres(ctx context.Context, dir string) (*proc.Child, string, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	attr, err := unprivileged(dir)
	if err != nil {
		return nil, "", err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-A", "trust", "-U", "bench", "-E", "UTF8", "--no-instructions")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if text, err := initdb.CombinedOutput(); err != nil {
		return nil, "", fmt.Errorf("initdb: %w\n%s", err, text)
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+dir, "-c", "log_min_messages=fatal")
	cmd.SysProcAttr, cmd.Dir = attr, dir
	child, err := proc.Start(cmd)
	if err != nil {
		return nil, "", err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	if err := whenUp(ctx, addr, child); err != nil {
		child.Stop()
		return nil, "", err
	}
	return child, fmt.Sprintf("postgres://bench@%s/postgres?sslmode=disable", addr), nil
}

// postgresBin finds the server's programs, which Debian keeps out of the path.
func postgresBin() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("no PostgreSQL server (package postgresql)")
	}
	return filepath.Dir(path), nil
}

// unprivileged gives dir to an account that is not root, and the attributes to start
// programs under it; none where this process is nobody special.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(err1, err2, os.Chown(dir, int(uid), int(gid))); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// version is what a program says of itself, on one line.
func version(program string, args ...string) string {
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		return program + " of an unknown version"
	}
	return strings.TrimSpace(string(out))
}
