// Package awscmd has the command "forebay aws": what it makes and changes in an AWS account. Everything is
// planned first; what would lose data, or cannot be changed, is named and left.
package awscmd
