package classify

import (
	"bytes"
	"hash/maphash"
	"sync/atomic"
)

// cacheSlots is how many findings are remembered, and cachedKey the longest key of one: together they bound the memory to a
// few megabytes, whatever the texts.
const (
	cacheSlots = 1 << 14
	cachedKey  = 640
)

// A cache remembers what texts were found to say, keyed by all that was looked at. It holds pairs of slots without locks:
// a lost race costs a search and nothing else.
type cache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[cached]
}

// cached is immutable. A key is held in it, as most keys can be, or apart.
type cached struct {
	hash uint64
	finding
	key   []byte // apart
	size  int
	short [184]byte
}

func newCached(hash uint64, key []byte, f finding) *cached {
	e := &cached{hash: hash, finding: f, size: len(key)}
	if copy(e.short[:], key) < len(key) {
		e.key = bytes.Clone(key)
	}
	return e
}

func (e *cached) is(hash uint64, key []byte) bool {
	if e.hash != hash || e.size != len(key) {
		return false
	}
	if e.key != nil {
		return bytes.Equal(e.key, key)
	}
	return bytes.Equal(e.short[:len(key)], key)
}

func newCache() *cache {
	return &cache{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[cached], cacheSlots)}
}

func (c *cache) hash(key []byte) uint64 { return maphash.Bytes(c.seed, key) }

// get returns what was found for the key, nil if it is not known.
func (c *cache) get(hash uint64, key []byte) *finding {
	slot := hash & (cacheSlots - 1)
	for _, s := range [2]uint64{slot, slot ^ 1} {
		if e := c.slots[s].Load(); e != nil && e.is(hash, key) {
			return &e.finding
		}
	}
	return nil
}

// put remembers a finding. Where both slots are taken, a bit of the hash says which one is given up.
func (c *cache) put(hash uint64, key []byte, f finding) {
	if len(key) > cachedKey {
		return
	}
	slot := hash & (cacheSlots - 1)
	if c.slots[slot].Load() != nil && (c.slots[slot^1].Load() == nil || hash>>63 == 1) {
		slot ^= 1
	}
	c.slots[slot].Store(newCached(hash, key, f))
}
