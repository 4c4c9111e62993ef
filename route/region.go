package route

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Regions gathers which targets refuse calls, by region, and says which regions are
// down: those of which at least two targets, and more than half, refuse. One target
// that refuses is a fault of its own.
//
// The zero Regions knows no region. It may be used concurrently: Down, and Set where
// nothing changes, take no lock.
type Regions struct {
	mu sync.Mutex // serialises changes; readers go by the atomics
	// all is replaced, never changed, when a region is added.
	all atomic.Pointer[map[string]*region]
}

// region is one region. Its numbers are written under Regions.mu.
type region struct {
	down     atomic.Bool
	refusing int       // members that refuse
	since    time.Time // when down last changed; zero if it never did
	// members are replaced, never changed, when a target is added. The flag says
	// whether it refuses.
	members atomic.Pointer[map[string]*atomic.Bool]
}

// RegionStatus is one region for people.
type RegionStatus struct {
	Name     string    `json:"region"`
	Targets  int       `json:"targets"`        // that were ever told of
	Refusing int       `json:"refusing"`       // of them
	Down     bool      `json:"down"`           //
	Since    time.Time `json:"since,omitzero"` // when Down last changed; zero if it never did
}

// Set says whether a target of a region refuses calls at now. A target counts from the
// first time that it is told of, so all of them should be at the start. It is cheap
// enough for every call. An empty region is no region: nothing happens.
func (g *Regions) Set(now time.Time, name, target string, refuses bool) {
	if name == "" {
		return
	}
	if r := g.region(name); r != nil {
		if m := r.member(target); m != nil && m.Load() == refuses {
			return
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.addRegionLocked(name)
	m := r.addMemberLocked(target)
	if m.Load() != refuses {
		m.Store(refuses)
		if refuses {
			r.refusing++
		} else {
			r.refusing--
		}
	}
	if down := r.refusing >= 2 && 2*r.refusing > len(*r.members.Load()); down != r.down.Load() {
		r.since = now
		r.down.Store(down)
	}
}

// Down says whether a region is down. One that nobody told of is not.
func (g *Regions) Down(name string) bool {
	r := g.region(name)
	return r != nil && r.down.Load()
}

// Snapshot describes all regions, by name.
func (g *Regions) Snapshot() []RegionStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.all.Load()
	if all == nil {
		return nil
	}
	list := make([]RegionStatus, 0, len(*all))
	for name, r := range *all {
		list = append(list, RegionStatus{
			Name: name, Targets: len(*r.members.Load()), Refusing: r.refusing, Down: r.down.Load(), Since: r.since,
		})
	}
	slices.SortFunc(list, func(a, b RegionStatus) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func (g *Regions) region(name string) *region {
	if all := g.all.Load(); all != nil {
		return (*all)[name]
	}
	return nil
}

func (r *region) member(target string) *atomic.Bool { return (*r.members.Load())[target] }

func (g *Regions) addRegionLocked(name string) *region {
	if r := g.region(name); r != nil {
		return r
	}
	r := new(region)
	r.members.Store(&map[string]*atomic.Bool{})
	more := map[string]*region{name: r}
	if all := g.all.Load(); all != nil {
		maps.Copy(more, *all)
	}
	g.all.Store(&more)
	return r
}

func (r *region) addMemberLocked(target string) *atomic.Bool {
	if m := r.member(target); m != nil {
		return m
	}
	m := new(atomic.Bool)
	more := maps.Clone(*r.members.Load())
	more[target] = m
	r.members.Store(&more)
	return m
}
