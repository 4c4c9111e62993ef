package redisgate

import (
	"errors"
	"net"
	"os/exec"
	"path/filepath"

	"github.com/forebay-ai/forebay/bench/internal/proc"
)

// ErrNoRedis says that this machine has no Redis.
var ErrNoRedis = errors.New("there is no redis-server in PATH (Debian: apt-get install redis-server)")

// StartRedis runs a redis-server at addr, a free address of the loopback interface, in
// memory alone: it writes nothing to dir or elsewhere. The caller stops it. The error is
// ErrNoRedis where there is none.
func StartRedis(addr, dir string) (*proc.Child, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, ErrNoRedis
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	// Without a file's name it reads none: nobody's settings on this machine count.
	return proc.Start(exec.Command(binary, "--bind", host, "--port", port, "--dir", dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", filepath.Join(dir, "redis.log")))
}
