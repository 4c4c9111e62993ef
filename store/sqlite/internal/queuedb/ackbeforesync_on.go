//go:build mutant_ack_before_sync

package queuedb

const mutantAckBeforeSync = true
