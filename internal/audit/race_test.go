//go:build race

package audit_test

// slower is how much longer the race detector makes everything take.
const slower = 10
