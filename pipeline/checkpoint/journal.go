package checkpoint

import "bounceline/pipeline/batch"

// Intend records the batch as the one in flight. It implements the pipeline's Journal together with Commit; neither waits on a
// full disk, as the pipeline does that itself.
func (s *Store) Intend(b *batch.Batch) error {
	ranges := append([]batch.Range(nil), b.Ranges...)
	return s.update(func(st *State) { st.Intent = &Intent{ID: b.ID, Ranges: ranges, Sealed: b.Sealed} })
}

// Commit moves the positions of the batch's streams to the ends of its ranges and forgets the intent.
func (s *Store) Commit(b *batch.Batch) error {
	return s.update(func(st *State) { st.Done(b.Ranges) })
}

// Done moves the positions of the ranges' streams to their ends and forgets the intent.
func (st *State) Done(ranges []batch.Range) {
	st.Intent = nil
	for _, r := range ranges {
		for i := range st.Streams {
			if x := &st.Streams[i]; x.Name == r.Stream && x.Next < r.To {
				x.Next, x.Marker = r.To, r.Marker
			}
		}
	}
}
