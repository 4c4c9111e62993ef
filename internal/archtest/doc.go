// Package archtest holds the rules of the code base that a machine can check:
// which package may import which, how long things may get, what must have a
// comment, which names and habits are not used, and that ARCHITECTURE.md names
// what is there. Its test runs every rule over the repository.
//
// A rule is a pure function from a Tree, which Load reads from a file system, to
// findings. So each rule has a test with a tree of a few lines in which it fails.
// The package is used by its own test alone and is no linter for other modules.
//
// # Exceptions
//
// A function of 41 to 100 lines is accepted where its doc comment, or a comment at
// the head of its body, gives the reason behind the words "on purpose:", as in
//
//	// One straight line on purpose: each step needs the locals before it.
//
// A file of 401 to 800 lines is accepted where one of its comments says "file is
// long on purpose:" with the reason behind it, and package-level state where the
// comment of the variable says "on purpose:". Nothing excuses more than 800 and
// 100 lines.
//
// Test files may have 800 lines and functions of 100 lines without a reason, may
// import across layers and need no comments on exported names. Generated files
// (with the standard header) have no budget. Nested modules are not looked at,
// except for paths of machines and names of package mirrors, which no file holds.
package archtest
