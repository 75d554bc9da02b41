package shell

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

// What a shell makes of a word is what was put into it.
func TestShellWord(t *testing.T) {
	words := []string{"", "plain", "a=b", "=ls", "~", "it's", `"`, "$HOME", "`id`", `\`, "!!", "a b", "*", "#x", "a;b", "{a,b}", "é", "'\"$`\\!\n"}
	r := rand.New(rand.NewPCG(3, 3))
	for range 100 {
		word := make([]byte, r.IntN(12))
		for i := range word {
			word[i] = byte(32 + r.IntN(95))
		}
		words = append(words, string(word))
	}
	var command strings.Builder
	command.WriteString("printf '%s\\0'")
	for _, word := range words {
		command.WriteString(" " + Word(word))
	}
	out, err := exec.Command("sh", "-c", command.String()).Output()
	if got, want := string(out), strings.Join(words, "\x00")+"\x00"; err != nil || got != want {
		t.Errorf("%v: %q, want %q", err, got, want)
	}
}

func FuzzWord(f *testing.F) {
	for _, s := range []string{"", "plain", "it's", "a$HOME", "$(id)", "`id`", "a b", "\\", "~", "=x", "é", "\n", "\x80", "!x", "'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) {
			t.Skip("no shell variable can hold NUL")
		}
		cmd := exec.Command("sh", "-c", "set -eu; X="+Word(s)+"; printf '%s' \"$X\"")
		got, err := cmd.Output()
		if err != nil || string(got) != s {
			t.Errorf("sh reads %q from %s (%v), want %q", got, Word(s), err, s)
		}
	})
}
