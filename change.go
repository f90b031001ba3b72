package causeway

// Change is one field of an input that changes a thing. A field that was left out
// is the zero Change and leaves the thing as it is; null is a Change that is Given
// without a Value and empties it, where it may be empty.
type Change[T any] struct {
	Given bool
	Value *T
}

// ChangeTo is the change to v.
func ChangeTo[T any](v T) Change[T] { return Change[T]{Given: true, Value: &v} }

// Cleared tells whether the field was sent as null.
func (c Change[T]) Cleared() bool { return c.Given && c.Value == nil }
