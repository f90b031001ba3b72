//go:build race

package transport

// manyReaders is fewer than a thousand where each costs ten times as much.
const manyReaders = 150
