package similar

import (
	"container/list"
	"hash/maphash"
	"sync"
	"time"
)

// DefaultThreshold is the score from which on a match counts where nothing else is
// configured. docs/similar.md has the measurements behind it.
const DefaultThreshold = 0.85

// Group is what has to be the same for two requests to be compared at all, as a hash
// that the caller makes: scope, model, parameters, and the conversation before its
// last turn.
type Group [32]byte

// Match is an earlier request whose answer may stand in.
type Match struct {
	Key   [32]byte // under which the answer is stored
	Score float64  // of the Measure, from 0 to 1
}

// Config bounds an Index. The zero Config is ready. Numbers below 1 mean the default.
type Config struct {
	// MaxTexts bounds the texts of all groups together. Zero means 10,000.
	MaxTexts int
	// MaxPerGroup bounds the texts of one group, and with them the time of a search.
	// Zero means 1,000.
	MaxPerGroup int
	// MaxTextBytes bounds one text; a longer one is neither added nor found. Zero
	// means 4 KiB; more than MaxText means MaxText.
	MaxTextBytes int
	// MaxBytes bounds the memory of all texts and of what the measure makes of them,
	// about, in bytes. Zero means 32 MiB.
	MaxBytes int64
	// Measure says how alike two texts are. Nil means Lexical.
	Measure Measure
	// WordsMayDiffer lets texts match that differ in Words and in nothing else. It is
	// for a Measure that knows what words mean; with Lexical it gives wrong answers.
	WordsMayDiffer bool
}

// Index finds, among the texts of a group, the one that is most like another. When it
// is full the oldest texts go. It is in memory only, and it keeps the texts as they
// are. All methods may be called concurrently.
type Index struct {
	config Config
	seed   maphash.Seed // of essences

	mu     sync.RWMutex // guards what follows; not held while a Measure prepares
	groups map[Group]*texts
	byKey  map[[32]byte]*entry
	oldest *list.List // of *entry, the oldest first
	bytes  int64
	added  uint64 // the number of the last entry
}

// texts is the texts of one group.
type texts struct {
	entries []*entry   // in no order: a search goes through all of them
	oldest  *list.List // of *entry, the oldest first
}

// entry is a text. It never changes, but for its places, which Index.mu guards.
type entry struct {
	group    Group
	key      [32]byte
	text     string
	essence  uint64 // texts that agree have the same
	prepared Prepared
	expires  time.Time
	size     int64
	number   uint64 // counts up with every text that is added

	at             int           // in texts.entries
	inAll, inGroup *list.Element // in Index.oldest and texts.oldest
}

// overhead is what an entry takes beside its text and what is prepared: the entry,
// two list elements, a place in a map and in a slice.
const overhead = 400

// New returns an empty index.
func New(c Config) *Index {
	c.MaxTexts = orDefault(c.MaxTexts, 10_000)
	c.MaxPerGroup = orDefault(c.MaxPerGroup, 1_000)
	c.MaxTextBytes = min(orDefault(c.MaxTextBytes, 4<<10), MaxText)
	c.MaxBytes = orDefault(c.MaxBytes, 32<<20)
	if c.Measure == nil {
		c.Measure = Lexical{}
	}
	return &Index{config: c, seed: maphash.MakeSeed(), groups: map[Group]*texts{}, byKey: map[[32]byte]*entry{}, oldest: list.New()}
}

func orDefault[N int | int64](n, otherwise N) N {
	if n < 1 {
		return otherwise
	}
	return n
}

// Add adds the text of a request whose answer is stored under key until expires; the
// zero time means for ever. A text under the same key is replaced. A text that is
// longer than the bounds allow, or that the measure cannot compare, is not added.
func (x *Index) Add(group Group, key [32]byte, text string, expires time.Time) {
	if len(text) > x.config.MaxTextBytes {
		x.Remove(key)
		return
	}
	prepared := x.config.Measure.Prepare(text)
	if prepared == nil {
		x.Remove(key)
		return
	}
	e := &entry{group: group, key: key, text: text, prepared: prepared, expires: expires}
	r := read(text)
	e.essence = r.essence(x.seed)
	e.size = int64(len(text)) + prepared.Size() + overhead
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.byKey[key]; old != nil {
		x.removeLocked(old)
	}
	if e.size > x.config.MaxBytes {
		return
	}
	x.addLocked(e)
}

// addLocked makes room for e and adds it.
func (x *Index) addLocked(e *entry) {
	for g := x.groups[e.group]; g != nil && len(g.entries) >= x.config.MaxPerGroup; g = x.groups[e.group] {
		x.removeLocked(g.oldest.Front().Value.(*entry))
	}
	for len(x.byKey) >= x.config.MaxTexts || x.bytes+e.size > x.config.MaxBytes {
		x.removeLocked(x.oldest.Front().Value.(*entry))
	}
	g := x.groups[e.group]
	if g == nil {
		g = &texts{oldest: list.New()}
		x.groups[e.group] = g
	}
	x.added++
	e.number, e.at = x.added, len(g.entries)
	g.entries = append(g.entries, e)
	e.inAll, e.inGroup = x.oldest.PushBack(e), g.oldest.PushBack(e)
	x.byKey[e.key] = e
	x.bytes += e.size
}

// Remove removes the text under key, if there is one.
func (x *Index) Remove(key [32]byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.byKey[key]; e != nil {
		x.removeLocked(e)
	}
}

func (x *Index) removeLocked(e *entry) {
	g := x.groups[e.group]
	last := len(g.entries) - 1
	g.entries[e.at] = g.entries[last]
	g.entries[e.at].at = e.at
	g.entries[last] = nil
	g.entries = g.entries[:last]
	if last == 0 {
		delete(x.groups, e.group)
	}
	g.oldest.Remove(e.inGroup)
	x.oldest.Remove(e.inAll)
	delete(x.byKey, e.key)
	x.bytes -= e.size
}

// Clear removes all texts.
func (x *Index) Clear() {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.groups)
	clear(x.byKey)
	x.oldest.Init()
	x.bytes = 0
}

// Len returns how many texts there are, expired ones among them.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.byKey)
}

// Bytes returns what the texts take, as MaxBytes counts it.
func (x *Index) Bytes() int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.bytes
}
