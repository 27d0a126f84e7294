package classify

import (
	"hash/maphash"
	"sync/atomic"
)

// cacheSlots is how many findings are remembered: they take a megabyte, whatever the texts.
const cacheSlots = 1 << 14

// A cache remembers what texts were found to say, by fingerprints of all that was looked at. It holds pairs of slots without
// locks: a lost race costs a search and nothing else.
type cache struct {
	seeds [2]maphash.Seed
	slots []atomic.Pointer[cached]
}

// A fingerprint is two hashes with seeds of this process alone. That of another key is the same once in 2^128, and nobody can make one.
type fingerprint [2]uint64

// cached is immutable. That it holds no key keeps it small: what is written for a new text is read from memory first.
type cached struct {
	fingerprint
	finding
}

func newCache() *cache {
	return &cache{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, slots: make([]atomic.Pointer[cached], cacheSlots)}
}

func (c *cache) fingerprint(key []byte) fingerprint {
	return fingerprint{maphash.Bytes(c.seeds[0], key), maphash.Bytes(c.seeds[1], key)}
}

// get returns what was found, nil if it is not known.
func (c *cache) get(of fingerprint) *finding {
	slot := of[0] & (cacheSlots - 1)
	for _, s := range [2]uint64{slot, slot ^ 1} {
		if e := c.slots[s].Load(); e != nil && e.fingerprint == of {
			return &e.finding
		}
	}
	return nil
}

// put remembers a finding. Where both slots are taken, a bit of the fingerprint says which one is given up.
func (c *cache) put(e *cached) {
	slot := e.fingerprint[0] & (cacheSlots - 1)
	if c.slots[slot].Load() != nil && (c.slots[slot^1].Load() == nil || e.fingerprint[0]>>63 == 1) {
		slot ^= 1
	}
	c.slots[slot].Store(e)
}
