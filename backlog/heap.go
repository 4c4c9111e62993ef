package backlog

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
