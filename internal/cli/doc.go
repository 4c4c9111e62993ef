// Package cli is the command line: it reads flags, calls the packages that do the
// work, and prints what they give. Results go to standard output, talk goes to
// standard error, and every command ends with an exit code of the table in exit.go.
package cli
