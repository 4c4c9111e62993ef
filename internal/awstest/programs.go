package awstest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program is a server: what is executed to have it listen on a port of 127.0.0.1.
type program func(port string) *exec.Cmd

// nodeProgram is a file of an npm package, with arguments before the port; with a script it is what the script is
// told to load.
func nodeProgram(t testing.TB, file, script string, args ...string) (program, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, &absent{what: "node is not here: install Node, which the emulators of AWS run on"}
	}
	args = append([]string{filepath.Join(Modules(t), filepath.FromSlash(file))}, args...)
	if script != "" {
		args = append([]string{"-e", script}, args...)
	}
	return func(port string) *exec.Cmd { return exec.Command(node, append(args, port)...) }, nil
}

// dynaliteLasting runs Dynalite so that it outlasts callers who go away: by itself it ends
// with the first request that is broken off.
const dynaliteLasting = `
process.on("uncaughtException", (err) => console.error(err));
const [file, port] = process.argv.slice(1);
require(file)({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 }).listen(Number(port), "127.0.0.1");
`

// motoSerial runs Moto with one thread: moto_server always takes several, and loses
// updates and lets two claims of one item win.
const motoSerial = `
import sys, os
os.environ.setdefault("MOTO_PORT", sys.argv[1])
from werkzeug.serving import make_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
make_server("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False).serve_forever()
`

// motoProgram is Moto on the Python that moto_server is installed for.
func motoProgram(testing.TB) (program, error) {
	missing := &absent{what: "moto_server is not on PATH: pip install 'moto[server]==5.2.1'"}
	server, err := exec.LookPath("moto_server")
	if err != nil {
		return nil, missing
	}
	for _, python := range []string{interpreter(server), "python3", "python"} {
		path, err := exec.LookPath(python)
		if err != nil {
			continue
		}
		if exec.Command(path, "-c", "import moto.moto_server.werkzeug_app").Run() == nil {
			return func(port string) *exec.Cmd { return exec.Command(path, "-c", motoSerial, port) }, nil
		}
	}
	return nil, missing
}

// interpreter is the Python that a script names in its first line, or "".
func interpreter(script string) string {
	f, err := os.Open(script)
	if err != nil {
		return ""
	}
	defer f.Close()
	line, _ := bufio.NewReader(f).ReadString('\n') // a script without a line has no interpreter
	words := strings.Fields(strings.TrimPrefix(line, "#!"))
	if len(words) == 0 || !strings.Contains(filepath.Base(words[0]), "python") {
		return ""
	}
	return words[0]
}
