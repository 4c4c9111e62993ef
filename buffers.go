package forebay

import "sync"

// canonicalBuffers holds scratch space for canonical forms, which live only until
// they are hashed.
var canonicalBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}
