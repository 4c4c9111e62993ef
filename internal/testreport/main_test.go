package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const pass = `{"Action":"pass","Package":"p","Test":"T"}`
	const skip = `{"Action":"output","Package":"p","Test":"S","Output":"    x_test.go:3: redis-server is missing: apt-get install redis-server\n"}
{"Action":"skip","Package":"p","Test":"S"}`
	const fail = `{"Action":"output","Package":"p","Test":"F","Output":"    x_test.go:9: got 1\n"}
{"Action":"fail","Package":"p","Test":"F"}`
	for name, c := range map[string]struct {
		in     string
		demand bool
		ok     bool
		says   []string
	}{
		"all pass":        {in: pass, ok: true, says: []string{"1 passed, 0 failed, 0 skipped"}},
		"nothing ran":     {in: "", says: []string{"no test ran"}},
		"one fails":       {in: pass + "\n" + fail, says: []string{"--- FAIL: F in p", "got 1", "1 passed, 1 failed, 0 skipped"}},
		"one is skipped":  {in: pass + "\n" + skip, ok: true, says: []string{"1 tests could not run", "S in p: redis-server is missing: apt-get install redis-server"}},
		"skip on demand":  {in: pass + "\n" + skip, demand: true, says: []string{"everything was demanded"}},
		"does not build":  {in: pass + "\n" + `{"Action":"output","Package":"q","Output":"q.go:1: broken\n"}` + "\n" + `{"Action":"fail","Package":"q"}`, says: []string{"FAIL\tq", "q.go:1: broken"}},
		"foreign lines":   {in: "go: downloading x\n" + pass, ok: true, says: []string{"go: downloading x"}},
		"package is done": {in: pass + "\n" + `{"Action":"pass","Package":"p","Elapsed":1.25}`, ok: true, says: []string{"ok  \tp\t1.2s"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			r := &report{out: &out, output: map[string][]string{}}
			if err := r.read(strings.NewReader(c.in)); err != nil {
				t.Fatal(err)
			}
			if ok := r.close(c.demand); ok != c.ok {
				t.Errorf("all is well: %v, want %v", ok, c.ok)
			}
			for _, said := range c.says {
				if !strings.Contains(out.String(), said) {
					t.Errorf("it does not say %q:\n%s", said, out.String())
				}
			}
		})
	}
}
