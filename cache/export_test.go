package cache

import "unsafe"

// EntrySize is the size of an Entry itself, which entryOverhead counts as 416.
const EntrySize = unsafe.Sizeof(Entry{})
