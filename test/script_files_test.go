package test

import (
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"bitbucket-oidc/test/cloud"

	"github.com/rogpeppe/go-internal/testscript"
)

// The commands with which a story makes files and looks at files that login wrote.

func cmdToken(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "token")
	world, step, spoil := worldOf(ts), cloud.DefaultStep(), false
	claims := map[string]string{}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "env":
			step.EnvironmentUUID = cloud.EnvironmentUUID
			ts.Setenv("BITBUCKET_DEPLOYMENT_ENVIRONMENT", "production")
			ts.Setenv("BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID", cloud.EnvironmentUUID)
		case "aud":
			step.Audiences = append(step.Audiences, value)
		case "expired":
			step.Expires = step.Issued.Add(-duration(ts, value))
			step.Issued = step.Expires.Add(-cloud.StepLifetime)
		case "expires":
			step.Expires = step.Issued.Add(duration(ts, value))
		case "bad-signature":
			spoil = true
		default:
			claims[name] = value
		}
	}
	all := step.Claims(world.Issuer.URL())
	for name, value := range claims {
		var decoded any
		switch {
		case value == "":
			delete(all, name)
		case json.Unmarshal([]byte(value), &decoded) == nil:
			all[name] = json.RawMessage(value)
		default:
			all[name] = value
		}
	}
	token := world.Issuer.Sign(all)
	if spoil {
		dot := strings.LastIndex(token, ".")
		token = token[:dot+1] + strings.Repeat("A", len(token)-dot-1)
	}
	ts.Setenv("BITBUCKET_STEP_OIDC_TOKEN", token)
}

func cmdUmask(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: umask NNN PROGRAM ARG…")
	}
	err := ts.Exec("sh", append([]string{"-c", `umask "$0" && exec "$@"`}, args...)...)
	if neg && err == nil {
		ts.Fatalf("unexpected command success")
	}
	if !neg && err != nil {
		ts.Fatalf("%v", err)
	}
}

func cmdSession(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: session FILE PROFILE TEXT…")
	}
	session, ok := worldOf(ts).AWS.Session(profileKey(ts.ReadFile(args[0]), args[1]))
	if !ok {
		ts.Fatalf("profile %s has no key that AWS handed out", args[1])
	}
	words := []string{
		session.Principal(), "source=" + session.SourceID, "policy=" + session.Policy,
		"policies=" + strings.Join(session.PolicyARNs, ","),
	}
	for key, value := range session.Tags {
		words = append(words, "tag:"+key+"="+value)
	}
	text := strings.Join(words, " ") + " " // so that a blank can end a word
	if holds := !slices.ContainsFunc(args[2:], func(want string) bool { return !strings.Contains(text, want) }); holds == neg {
		ts.Fatalf("profile %s: %s", args[1], text)
	}
}

// profileKey is the access key id of a profile in a credentials file.
func profileKey(file, profile string) string {
	_, section, _ := strings.Cut("\n"+file, "\n["+profile+"]\n")
	section, _, _ = strings.Cut(section, "\n[")
	for line := range strings.Lines(section) {
		if name, value, _ := strings.Cut(line, "="); strings.TrimSpace(name) == "aws_access_key_id" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func cmdDocker(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "docker")
	if len(args) < 1 {
		ts.Fatalf("usage: docker FILE HOST=USER…")
	}
	var file struct {
		Auths map[string]struct{ Auth string }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &file))
	var got []string
	for host, entry := range file.Auths {
		login, err := base64.StdEncoding.DecodeString(entry.Auth)
		ts.Check(err)
		user, password, _ := strings.Cut(string(login), ":")
		if !handedOut(worldOf(ts), host, user, password) {
			ts.Fatalf("%s: a password that user %s was not given", host, user)
		}
		got = append(got, host+"="+user)
	}
	want := slices.Sorted(slices.Values(args[1:]))
	if slices.Sort(got); !slices.Equal(got, want) {
		ts.Fatalf("%s logs in to %q", args[0], got)
	}
}

// handedOut reports whether a cloud gave the password to that user for that registry.
func handedOut(world *cloud.World, host, user, password string) bool {
	if user == "AWS" {
		login, ok := world.AWS.RegistryLogin(password)
		if host == "public.ecr.aws" {
			return ok && login.Region == "public"
		}
		return ok && strings.Contains(host, "."+login.Region+".")
	}
	return user == "oauth2accesstoken" && slices.ContainsFunc(world.GCP.Secrets(), func(s cloud.Secret) bool {
		return s.Value == password && (s.Kind == cloud.AccessToken || s.Kind == cloud.FederatedToken)
	})
}

func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mode FILE 0600")
	}
	want, err := strconv.ParseUint(args[1], 8, 12)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := info.Mode().Perm(); neg == (got == fs.FileMode(want)) {
		ts.Fatalf("%s has mode %#o", args[0], got)
	}
}

func cmdLeaks(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "leaks")
	if len(args) != 0 {
		ts.Fatalf("usage: leaks")
	}
	secrets := append(worldOf(ts).Secrets(), othersOf(ts).Secrets()...)
	for _, stream := range []string{"stdout", "stderr"} {
		if err := cloud.CheckText(ts.ReadFile(stream), secrets); err != nil {
			ts.Fatalf("%s: %v", stream, err)
		}
	}
	ts.Check(cloud.CheckTree(ts.Getenv("WORK"), ts.Getenv("BITBUCKET_CLONE_DIR"), secrets))
}
