// Package report writes what a command found, in each format that can be asked for.
package report

import (
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// A Check is a judgement of files.
type Check struct {
	Version  string // of the program
	Identity bitbucket.Identity
	Files    []string // the names of all that was read, those without a result too
	Results  []trust.Result
	Now      time.Time
}

// A Format is a way to write a judgement.
type Format struct {
	Name  string
	Says  string // more about it, for help
	Write func(c Check) string
}

// Formats lists the formats. The first is the default.
func Formats() []Format {
	return []Format{
		{"text", "the default", text},
		{"json", "", jsonOf},
		{"sarif", "2.1.0", sarif},
	}
}
