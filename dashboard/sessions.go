package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/access"
)

// token is 256 random bits as text. The session's id is one, and its CSRF token another.
func token() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime stops the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// session is one browser that has logged in.
type session struct {
	grant       *access.Grant // as it was at the login; never the key's secret
	csrf        string
	began, used time.Time
}

// sessions holds them by a hash of their ids: a look-up by a hash tells who measures its
// time nothing of an id.
type sessions struct {
	lifetime, idle time.Duration
	most, perKey   int

	mu   sync.Mutex // guards byID
	byID map[[sha256.Size]byte]*session
}

func newSessions(lifetime, idle time.Duration, most int) *sessions {
	return &sessions{lifetime: lifetime, idle: idle, most: most, perKey: max(1, most/10), byID: map[[sha256.Size]byte]*session{}}
}

// begin makes a session of a key and returns its id.
func (s *sessions) begin(grant *access.Grant, now time.Time) (id string) {
	id = token()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoomLocked(grant.Name, now)
	s.byID[sha256.Sum256([]byte(id))] = &session{grant: grant, csrf: token(), began: now, used: now}
	return id
}

// makeRoomLocked ends the sessions whose time is up and then, where that is not enough,
// the key's session that was not used for longest, or that of all keys.
func (s *sessions) makeRoomLocked(key string, now time.Time) {
	var oldest, oldestOfKey [sha256.Size]byte
	ofKey := 0
	for id, x := range s.byID {
		if s.over(x, now) {
			delete(s.byID, id)
			continue
		}
		if o := s.byID[oldest]; o == nil || x.used.Before(o.used) {
			oldest = id
		}
		if x.grant.Name != key {
			continue
		}
		ofKey++
		if o := s.byID[oldestOfKey]; o == nil || x.used.Before(o.used) {
			oldestOfKey = id
		}
	}
	switch {
	case ofKey >= s.perKey:
		delete(s.byID, oldestOfKey)
	case len(s.byID) >= s.most:
		delete(s.byID, oldest)
	}
}

func (s *sessions) over(x *session, now time.Time) bool {
	return now.Sub(x.began) >= s.lifetime || now.Sub(x.used) >= s.idle
}

// find returns the session of an id and notes that it was used.
func (s *sessions) find(id string, now time.Time) (session, bool) {
	hash := sha256.Sum256([]byte(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.byID[hash]
	if x == nil {
		return session{}, false
	}
	if s.over(x, now) {
		delete(s.byID, hash)
		return session{}, false
	}
	x.used = now
	return *x, true
}

// end ends the session of an id.
func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, sha256.Sum256([]byte(id)))
}
