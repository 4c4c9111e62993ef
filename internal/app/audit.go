package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// auditName is the file of changes in the store's directory: one JSON object a line.
const auditName = "audit.log"

// audit records what operators change, before it takes effect: in a file that is synced
// to disk, where there is a directory for it, and in the log. A change that cannot be
// recorded is not made. It may be used concurrently.
type audit struct {
	log *slog.Logger

	mu   sync.Mutex // guards file; held while it is written, since order counts and changes are rare
	file *os.File   // nil where there is no directory
}

// auditLine is one change.
type auditLine struct {
	At      time.Time         `json:"at"`
	Actor   string            `json:"actor"`
	Action  string            `json:"action"`
	Details map[string]string `json:"details,omitempty"`
}

// openAudit opens the file in dir, which exists; an empty dir means the log alone.
func openAudit(dir string, log *slog.Logger) (*audit, error) {
	a := &audit{log: log}
	if dir == "" {
		return a, nil
	}
	var err error
	if a.file, err = os.OpenFile(filepath.Join(dir, auditName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("open the file of operators' changes: %w", err)
	}
	return a, nil
}

// Audit records a change that is about to be made.
func (a *audit) Audit(_ context.Context, actor, action string, details map[string]string) error {
	line, err := json.Marshal(auditLine{At: time.Now().UTC(), Actor: actor, Action: action, Details: details})
	if err != nil {
		return fmt.Errorf("record a change: %w", err)
	}
	if err := a.write(append(line, '\n')); err != nil {
		return fmt.Errorf("record a change: %w", err)
	}
	a.log.Info("operator's change", "actor", actor, "action", action, "details", details)
	return nil
}

func (a *audit) write(line []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	if _, err := a.file.Write(line); err != nil {
		return err
	}
	return a.file.Sync()
}

// close closes the file. Changes that come later are refused.
func (a *audit) close() error {
	if a == nil || a.file == nil {
		return nil
	}
	return a.file.Close()
}
