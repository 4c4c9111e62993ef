// Package sqlfile opens one SQLite file for a single process: a connection that writes,
// one transaction at a time, and a few that read beside it, with the statements that
// they have prepared. It knows what errors say of damage, sets damaged files aside, and
// locks directories. It is what the parts of package sqlite have in common, and knows
// nothing of what they keep.
package sqlfile
