package app

import "path/filepath"

// CloseListener takes the listener of calls away, as a fault of the system would.
func CloseListener(s *Server) error { return s.doors[len(s.doors)-1].ln.Close() }

// CloseControl takes the listener of control away.
func CloseControl(s *Server) error { return s.doors[0].ln.Close() }

// CloseStores closes the stores under a server that works with them.
func CloseStores(s *Server) error { return s.stores.Close() }

// CloseAudit closes the file of operators' changes under a server.
func CloseAudit(s *Server) error { return s.audit.file.Close() }

// StoreDir is where the stores of a server lie.
func StoreDir(s *Server) string { return filepath.Dir(s.audit.file.Name()) }
