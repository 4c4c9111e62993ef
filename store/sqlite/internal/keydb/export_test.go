package keydb

import "context"

// Hold has a reader begin to read, and returns what ends it.
func (k *Keys) Hold() (release func(), err error) {
	db := k.now()
	r, err := db.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	if err := r.Run("BEGIN; SELECT count(*) FROM keys"); err != nil {
		return nil, err
	}
	return func() { _ = r.Run("COMMIT"); db.Release(r) }, nil
}

// Unsync has the file take a sync for failed.
func (k *Keys) Unsync() { k.now().Unsynced.Store(true) }
