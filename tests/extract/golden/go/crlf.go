// Package crlf has Windows line ends.
package crlf

// Twice doubles n.
// It never overflows.
func Twice(n int) int {
	return 2 * n
}

// Lost is detached.

func Lost() {}
