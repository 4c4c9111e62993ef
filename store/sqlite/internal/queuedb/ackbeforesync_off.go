//go:build !mutant_ack_before_sync

package queuedb

// mutantAckBeforeSync answers the queue's writes before their transaction is
// committed. It is there to see that a test notices.
const mutantAckBeforeSync = false
