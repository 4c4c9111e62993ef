//go:build !mutant_no_fencing

package backlog

const mutantNoFencing = false // true takes results without asking for the lease
