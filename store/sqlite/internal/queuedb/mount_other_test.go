//go:build !linux

package queuedb_test

import "errors"

func mountSmall(string, int) error { return errors.New("only Linux is supported") }

func unmount(string) error { return nil }
