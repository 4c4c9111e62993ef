// Package app wires a running gateway together: configuration, client, HTTP
// server, and their life cycle from the first listen to the end of the drain. It
// also puts together the demonstration. It decides nothing about a call: that is
// the client's business, and nothing about flags: that is package cli's.
package app
