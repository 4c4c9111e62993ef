package budget

// Accounts is the number of accounts in memory.
func (b *Book) Accounts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.accounts)
}
