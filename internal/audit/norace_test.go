//go:build !race

package audit_test

const slower = 1
