package cli

import (
	"fmt"
	"slices"
	"strings"
)

// The programs.
const (
	Pipe    = "pipe"           // signs in; the image's entrypoint
	Advisor = "bitbucket-oidc" // decides who gets in
)

// An Entry is a command as help lists it.
type Entry struct {
	Name     string
	Does     string
	Programs []string // that have the command
}

// Entries are the commands of both programs. Each program's help and hints name all of them; pipe hands over what it does not
// have. A program's own list and this one agree, or a test fails.
func Entries() []Entry {
	return []Entry{
		{"login", "exchange the step's token with every configured backend and write the files", []string{Pipe}},
		{"logout", "remove what login wrote, and revoke what can be revoked", []string{Pipe}},
		{"explain", "print the token's claims and the trust configuration to paste", []string{Pipe, Advisor}},
		{"check", "judge trust configurations against an identity, offline", []string{Advisor}},
		{"audit", "judge the steps of bitbucket-pipelines.yml, offline", []string{Advisor}},
		{"map", "check the access map, render its policies, or begin one from what is deployed", []string{Advisor}},
		{"drift", "compare who gets in with who should, as the access map says", []string{Advisor}},
		{"evidence", "turn records of logins into a package for an auditor", []string{Advisor}},
		{"guard", "test guardrails, show what they see, and replay records against them", []string{Advisor, Pipe}},
		{"mcp", "serve copilots: the same answers as tools, read-only and offline", []string{Advisor}},
	}
}

// entry finds a command by its name.
func entry(name string) (Entry, bool) {
	all := Entries()
	i := slices.IndexFunc(all, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return all[i], true
}

// names lists the commands for a hint.
func names() string {
	var all []string
	for _, e := range Entries() {
		all = append(all, e.Name)
	}
	last := len(all) - 1
	return strings.Join(all[:last], ", ") + " and " + all[last]
}

// usage is the help of a program as a whole.
func usage(program string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s [COMMAND]\n\n", program)
	b.WriteString(`Signs later commands of a Bitbucket Pipelines step in, with the step's own identity token, and decides who else gets in.

Commands:
`)
	for _, e := range Entries() {
		does := e.Does
		if program == Advisor && !slices.Contains(e.Programs, program) {
			does += " (of the program " + Pipe + ")"
		}
		fmt.Fprintf(&b, "  %-8s %s\n", e.Name, does)
	}
	b.WriteString("\nWithout COMMAND on the command line, the variable COMMAND names it and the list ARGUMENTS holds its arguments;\n" +
		"login is the default. " + program + ` COMMAND --help shows a command's flags.
Exit status: 0 done; 1 refused or failed; 2 the configuration or the command line is wrong.`)
	return b.String()
}
