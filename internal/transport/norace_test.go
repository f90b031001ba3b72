//go:build !race

package transport

// manyReaders is how many readers one that stalls is beside.
const manyReaders = 1000
