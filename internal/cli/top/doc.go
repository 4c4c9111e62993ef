// Package top draws the page of `forebay top`: how a running gateway is, what is wrong with
// it and what to do about that, and its operations in a table. It is a pure function of
// what the gateway told (console.Overview and its rows): it asks for nothing, reads no
// clock and knows no terminal but its width. The command clears the screen and calls it
// again.
package top
