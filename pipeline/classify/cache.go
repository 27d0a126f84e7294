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

// cached is immutable.
type cached struct {
	hash uint64
	key  []byte
	finding
}

func newCache() *cache {
	return &cache{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[cached], cacheSlots)}
}

func (c *cache) hash(key []byte) uint64 { return maphash.Bytes(c.seed, key) }

// get returns what was found for the key, nil if it is not known.
func (c *cache) get(hash uint64, key []byte) *finding {
	slot := hash & (cacheSlots - 1)
	for _, s := range [2]uint64{slot, slot ^ 1} {
		if e := c.slots[s].Load(); e != nil && e.hash == hash && bytes.Equal(e.key, key) {
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
	c.slots[slot].Store(&cached{hash: hash, key: bytes.Clone(key), finding: f})
}
