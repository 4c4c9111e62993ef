package main_test

import "os"

// Windows has no signal for it: the process goes on, and reads what is new by itself.
func freeze(*os.Process) error { return nil }

func thaw(*os.Process) error { return nil }
