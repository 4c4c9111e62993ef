package backlog

import "iter"

// heap is a binary heap whose elements know their index in it, so that any of them
// can be taken out: -1 while they are not in it.
type heap[T any] struct {
	items  []T
	before func(a, b T) bool
	index  func(T) *int32
}

// first gives the smallest element; ok is false where there is none.
func (h *heap[T]) first() (x T, ok bool) {
	if len(h.items) == 0 {
		return x, false
	}
	return h.items[0], true
}

func (h *heap[T]) push(x T) {
	h.items = append(h.items, x)
	*h.index(x) = int32(len(h.items) - 1)
	h.up(len(h.items) - 1)
}

// remove takes out x, which may be elsewhere already.
func (h *heap[T]) remove(x T) {
	i, last := int(*h.index(x)), len(h.items)-1
	if i < 0 {
		return
	}
	h.swap(i, last)
	var zero T
	h.items[last] = zero
	h.items = h.items[:last]
	*h.index(x) = -1
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h *heap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.before(h.items[i], h.items[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *heap[T]) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			return
		}
		if right := child + 1; right < len(h.items) && h.before(h.items[right], h.items[child]) {
			child = right
		}
		if !h.before(h.items[child], h.items[i]) {
			return
		}
		h.swap(i, child)
		i = child
	}
}

func (h *heap[T]) swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.index(h.items[i]), *h.index(h.items[j]) = int32(i), int32(j)
}

// inOrder goes through the elements from the smallest on. The heap must not change meanwhile. The first n cost O(n log n).
func (h *heap[T]) inOrder() iter.Seq[T] {
	return func(yield func(T) bool) {
		var front heap[*spot] // of indices whose parents were told
		front.before = func(a, b *spot) bool { return h.before(h.items[a.at], h.items[b.at]) }
		front.index = func(s *spot) *int32 { return &s.pos }
		add := func(i int) {
			if i < len(h.items) {
				front.push(&spot{at: i})
			}
		}
		add(0)
		for s, ok := front.first(); ok; s, ok = front.first() {
			front.remove(s)
			if !yield(h.items[s.at]) {
				return
			}
			add(2*s.at + 1)
			add(2*s.at + 2)
		}
	}
}

// spot is a place in a heap.
type spot struct {
	at  int
	pos int32
}
