package handoff

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

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

// envOf is env.sh. It uses only what every POSIX shell and zsh read alike, under `set -eu` too, and it names files in
// place of holding secrets.
func (d *Dir) envOf(backends []backend, docker docker) []byte {
	var b strings.Builder
	b.WriteString("# Signs later commands of this step in. Source it: . " + shell.Word(d.Path(envFile)) + "\n")
	if !docker.empty() {
		b.WriteString("\n# docker\nexport DOCKER_CONFIG=" + shell.Word(d.Path(dockerDir)) + "\n")
	}
	for _, backend := range backends {
		b.WriteString("\n# " + backend.Name + "\n")
		var unset []string
		for _, v := range backend.Env {
			value := v.Value
			switch {
			case v.Unset:
				unset = append(unset, v.Name)
				continue
			case v.Contents != "":
				// A shell under `set -x` shows what it assigns, but not what it reads. read fails at a file without a line
				// break at its end, such as these, and at none, such as one that is gone.
				file := shell.Word(d.Path(v.Contents))
				b.WriteString("IFS= read -r " + v.Name + " <" + file + " || test -s " + file + "\nexport " + v.Name + "\n")
				continue
			case v.File != "":
				value = d.Path(v.File)
			}
			b.WriteString("export " + v.Name + "=" + shell.Word(value) + "\n")
		}
		if len(unset) > 0 {
			b.WriteString("unset -v " + strings.Join(unset, " ") + "\n")
		}
	}
	return []byte(b.String())
}
