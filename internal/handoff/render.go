package handoff

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/shell"
)

// summary is summary.json: who the step now is and until when. It holds no secret.
type summary struct {
	Version     int          `json:"version"`
	Token       tokenSummary `json:"token"`
	Credentials []credential `json:"credentials"`
}

type tokenSummary struct {
	Issuer   string    `json:"issuer"`
	Audience []string  `json:"audience"`
	Subject  string    `json:"subject"`
	Expires  time.Time `json:"expires"`
	SHA256   string    `json:"sha256"`
}

func summaryOf(token oidc.Token, backends []backend) []byte {
	s := summary{Version: 1, Token: tokenSummary{
		Issuer: token.Claims.Issuer, Audience: token.Claims.Audience, Subject: token.Claims.Subject,
		Expires: token.Claims.Expires, SHA256: token.SHA256(),
	}}
	for _, b := range backends {
		s.Credentials = append(s.Credentials, b.Credentials...)
	}
	return marshal(s)
}

func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // strings, numbers, and times of years that have four digits: cannot fail
	return b.Bytes()
}

// envOf is env.sh. It uses only what every POSIX shell and zsh read alike, under `set -eu` too, and it names files instead of holding
// secrets.
func (d *Dir) envOf(backends []backend, docker docker) []byte {
	var b strings.Builder
	b.WriteString("# Signs later commands of this step in. Source it: . " + shell.Word(d.Path(envFile)) + "\n")
	if !docker.empty() {
		b.WriteString("\n# docker\n" + d.dockerEnv())
	}
	for _, backend := range backends {
		b.WriteString("\n# " + backend.Name + "\n")
		var unset []string
		for _, v := range backend.Env {
			if v.Unset {
				unset = append(unset, v.Name)
				continue
			}
			b.WriteString(d.assign(v))
		}
		if len(unset) > 0 {
			b.WriteString("unset -v " + strings.Join(unset, " ") + "\n")
		}
	}
	return []byte(b.String())
}

// assign sets one variable. A shell under `set -x` shows what it assigns and compares, but not what it reads: a secret is read
// into its variable at once. If that fails, a variable of the step must not keep its own value.
func (d *Dir) assign(v variable) string {
	export := "export " + v.Name
	file := shell.Word(d.Path(v.Contents))
	switch {
	case v.Contents != "" && v.Key != "":
		// It reads up to the first line that begins with the key. If no line does, the variable has no value at the end of the file.
		return "unset -v " + v.Name + " " + lineKey + "\n" +
			"while IFS=' ' read -r " + lineKey + " " + lineSign + " " + v.Name + " && test \"$" + lineKey + "\" != " + v.Key + "; do :; done <" + file + "\n" +
			"test \"${" + lineKey + "-}\" = " + v.Key + "\n" +
			export + "\nunset -v " + lineKey + " " + lineSign + "\n"
	case v.Contents != "":
		// read fails both for a file without a line break at its end, such as these, and for a file that is gone.
		return "unset -v " + v.Name + "\nIFS= read -r " + v.Name + " <" + file + " || test -s " + file + "\n" + export + "\n"
	case v.File != "":
		return export + "=" + shell.Word(d.Path(v.File)) + "\n"
	case len(v.Guess) > 0:
		open, end := "", ""
		for _, name := range v.Guess {
			open, end = open+"${"+name+":-", end+"}"
		}
		return export + "=\"" + open + v.Value + end + "\"\n"
	}
	return export + "=" + shell.Word(v.Value) + "\n"
}

// lineKey and lineSign are the shell's variables for what precedes a value that env.sh reads from a line of a file.
const (
	lineKey  = "bitbucket_oidc_key"
	lineSign = "bitbucket_oidc_sign"
)

// isGuess reports whether a guess can stand between the double quotes in which env.sh puts it.
func isGuess(s string) bool { return charset.Only(s, charset.Word+".:-", 1, 200) }
