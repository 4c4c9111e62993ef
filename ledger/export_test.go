package ledger

// InProgress is the number of calls of which a record is expected, those with the same key counted once.
func (l *Ledger) InProgress() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls)
}
