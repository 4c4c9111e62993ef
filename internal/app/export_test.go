package app

// CloseListener takes the listener of calls away, as a fault of the system would.
func CloseListener(s *Server) error { return s.doors[len(s.doors)-1].ln.Close() }
