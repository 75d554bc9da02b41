package main

import "strings"

// An idea is one way to a smaller image or a faster start, with what it gave on the day when it was tried.
type idea struct{ what, gave, verdict string }

func ideas() []idea {
	return []idea{
		{"gRPC without its own web pages, by the build tag `grpcnotrace`: they link package template, which keeps every exported method",
			"1,423,000 bytes of `pipe`, compressed", "taken"},
		{"[Empty modules](contents.md) in place of two of Google's, for S2A and for certificates of managed laptops",
			"568,000 bytes of `pipe`, compressed; 100 kB of heap", "taken: the process that holds the token also has no code that starts a program which a file names"},
		{"ECR asked by one signed request, not by the SDK's clients for ECR and ECR Public",
			"236,000 bytes of `pipe`, compressed; 717 kB of heap and 210 page faults; 0.7 ms of a start", "taken: a test holds the hosts to the SDK's"},
		{"The certificate authorities parsed once: Go also read the folder in which the image's one file lies",
			"930 page faults and 17 ms of processor time of a login over TLS", "taken"},
		{"Regular expressions compiled when they are first used",
			"1.5 MB of heap, 450 page faults and 2.3 ms of a start of `bitbucket-oidc`", "taken"},
		{"Building without inlining (`-gcflags=all=-l`)",
			"1,080,000 bytes of both programs, compressed; nothing of a start that can be told", "not taken: what runs often gets slower"},
		{"Building for newer processors (`GOAMD64=v3`)",
			"14,000 bytes of both programs, compressed; 0.5 ms of a start", "not taken: the image runs on every amd64, self-hosted runners included"},
		{"AWS's `config` without its clients for sign-in by browser (`sso`, `ssooidc`, `signin`), by more empty modules",
			"96,000 bytes of `pipe`, compressed; 387 kB of heap, 125 page faults and 0.6 ms of a start",
			"not taken: three libraries of AWS would have to be followed with each update of `config`"},
		{"Parsing the authorities while the first request is under way",
			"at most 3 ms of a login over TLS that takes 80 ms, with a round trip of 20 ms", "not taken: within what runs differ by"},
		{"IAM asked by own requests, not by the SDK's client, in `bitbucket-oidc`",
			"637 kB of heap and 0.6 ms before `main`, at most", "not taken: five operations with pages and errors of their own"},
	}
}

// triedMarkdown is the section about the ideas.
func triedMarkdown() string {
	var b strings.Builder
	b.WriteString(`
## What was tried

What each idea gave on the day when it was tried, on 2026-11-28. Sizes are ` +
		"`gzip -9`" + ` over what the Dockerfile's command builds; heap and
time before ` + "`main`" + ` are what ` + "`GODEBUG=inittrace=1`" + ` adds up for ` +
		"`--version`" + `; page faults are those that the kernel counts. Times are the
least of 40 to 150 runs beside the program before the change, on a machine with other work.

| Idea | Gave | |
|---|---|---|
`)
	for _, i := range ideas() {
		b.WriteString("| " + i.what + " | " + i.gave + " | " + i.verdict + " |\n")
	}
	return b.String()
}
