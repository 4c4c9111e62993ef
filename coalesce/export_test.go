package coalesce

// Running says how many flights go on, and how many of them newcomers can find.
func (f *Flights) Running() (running, joinable int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running, len(f.table)
}

// Held is what the flight of s keeps, in bytes and chunks.
func (s *Share) Held() (bytes int64, chunks, aboard int) {
	s.flight.mu.Lock()
	defer s.flight.mu.Unlock()
	return s.flight.held, len(s.flight.chunks), len(s.flight.aboard)
}
