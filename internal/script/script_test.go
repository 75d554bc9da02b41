package script_test

import (
	"fmt"
	"strings"
	"testing"

	"bitbucket-oidc/internal/script"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"echo $A > f", "0 [echo $A] $A file=f"},
		{"echo '$A' \"$B\"", "0 [echo $A $B] $B"},
		{"x=$(aws sts y --a \"$B\") && echo done", "0 [] assign=x=$() | 0 [aws sts y --a $B] $B captured in 0 | 0 [echo done]"},
		{"export $(printf \"A=%s\" \\\n  $(aws sts z))", "0 [export $()] | 0 [printf A=%s $()] captured in 0 | 1 [aws sts z] captured in 1"},
		{"if [ -n \"${T:-}\" ]; then\n  make\nfi", "0 [[ -n ${T:-} ]] $T | 1 [make]"},
		{"echo $T | docker login -u x --password-stdin", "0 [echo $T] $T piped | 0 [docker login -u x --password-stdin]"},
		{"cat > f <<EOF\nrole_arn = $R\nEOF\nmake", "0 [cat] file=f here=role_arn = $R$R | 3 [make]"},
		{"cat <<'EOF'\n$R\nEOF", "0 [cat] here=$R"},
		{"a 2>&1 >/dev/null; b >&2", "0 [a] file=/dev/null | 0 [b]"},
		{"curl x | sh # $T", "0 [curl x] piped | 0 [sh]"},
		{"docker run -e T=${T} img", "0 [docker run -e T=${T} img] $T"},
		{"A=b terraform apply", "0 [terraform apply] assign=A=b"},
		{"echo ${#T} ${T:+set}", "0 [echo ${#T} ${T:+set}]"},
		{"Write-Host $env:T %U%", "0 [Write-Host $env:T %U%] $env$T$U"},
		{"read -r A B <<<\"$(aws x)\"", "0 [read -r A B] here=$() | 0 [aws x] captured in 0"},
		{"vault read `cat f` \"", "0 [vault read $() ] | 0 [cat f] captured in 0"},
		{"echo it's $T", "0 [echo its $T]"},
		{`printf "a\n\"\$b" \n`, `0 [printf a\n"$b n]`},
		{"A=($(b $C)); D=(\n  e # f\n  $G\n); h=(", "0 [] assign=A=$() | 0 [b $C] $C captured in 0 | 0 [] assign=D=e $G | 3 [] assign=h="},
		{"{ a; b; } > f; (c; d) | e", "0 [a] file=f | 0 [b] file=f | 0 [c] piped | 0 [d] piped | 0 [e]"},
		{"for i in 1 2; do\n a\ndone > f\nif b; then c; fi | d", "0 [for i in 1 2] file=f | 1 [a] file=f | 3 [b] piped | 3 [c] piped | 3 [d]"},
		{
			"case $A in\n a|b) c;;\n *) d\nesac; $(case x in y) e;; esac)",
			"0 [case $A in] $A | 1 [c] | 2 [d] | 3 [$()] | 3 [case x in y] captured in 7 | 3 [e] captured in 7",
		},
		{"f() { a; }\nfunction g {\n b\n}\nf", "0 [function f] | 0 [a] | 1 [function g] | 2 [b] | 4 [f]"},
		{"sudo bash -e <<'E' > f\na\necho $B\nE\nc", "0 [sudo bash -e] file=f | 1 [a] file=f | 2 [echo $B] $B file=f | 4 [c]"},
		{"bash -ec 'a; echo $T' > f; c", "0 [bash -ec ] file=f | 0 [a] file=f | 0 [echo $T] $T file=f | 0 [c]"},
		{"x=$(sudo sh -c \"cat f | b\") | c", "0 [] assign=x=$() piped | 0 [sudo sh -c ] captured in 0 | 0 [cat f] piped | 0 [b] captured in 0 | 0 [c]"},
		{"/bin/bash -o pipefail -c '\n echo $T\n' | c", "0 [/bin/bash -o pipefail -c ] piped | 1 [echo $T] $T piped | 2 [c]"},
		{"sh -c \"sh -c 'a'\" && eval \"export A=$B\"", "0 [sh -c ] | 0 [sh -c ] | 0 [a] | 0 [eval ] $B | 0 [export A=$B] $B"},
		{"eval \"$(aws x)\"; bash -c; bash x.sh -c y", "0 [eval $()] | 0 [aws x] captured in 0 | 0 [bash -c] | 0 [bash x.sh -c y]"},
	} {
		var got []string
		for _, x := range script.Parse(c.text) {
			if len(x.Words)+len(x.Assign) == 0 {
				continue
			}
			s := fmt.Sprintf("%d [%s]", x.Line, x.Text())
			vars := ""
			for _, w := range x.Words {
				for _, v := range w.Vars {
					vars += "$" + v
				}
			}
			if vars != "" {
				s += " " + vars
			}
			for _, a := range x.Assign {
				s += " assign=" + a.Text
			}
			switch x.Output {
			case script.File:
				s += " file=" + x.File
			case script.Piped:
				s += " piped"
			case script.Captured:
				s += fmt.Sprint(" captured in ", x.Outer)
			}
			if x.Here != nil {
				s += " here=" + strings.TrimSpace(x.Here.Text)
				for _, v := range x.Here.Vars {
					s += "$" + v
				}
			}
			got = append(got, s)
		}
		if g := strings.Join(got, " | "); g != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.text, g, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a $(b `c` \"$(d)\") <<E\nE\n")
	f.Add("a <(")
	f.Add("{ (a; b) | c; } > d; f() { case x in a|b) c;; esac; }; bash <<E\ng\nE\n")
	f.Add("a=($(b) `c` (d\n'e'")
	f.Add("sh -c \"eval 'a\n$(b)' | c\n\" > d")
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range script.Parse(text) {
			if c.Line < 0 || c.Line > strings.Count(text, "\n") {
				t.Errorf("line %d", c.Line)
			}
		}
	})
}
