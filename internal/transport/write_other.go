//go:build !linux

package transport

import "syscall"

// writeNow writes to a socket that does not block.
func writeNow(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }
