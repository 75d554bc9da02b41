package test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
)

var writeSecrets = flag.String("secrets", "", "the file to write the page about the search for secrets to")

// searched is what the stories were searched for, and how much there was to search.
type searched struct {
	mu                    sync.Mutex
	stories, runs, output int
	made                  map[cloud.SecretKind]int
}

func (s *searched) add(r *recording, secrets []cloud.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stories++
	s.runs += len(r.commandLines)
	s.output += r.output.Len()
	if s.made == nil {
		s.made = map[cloud.SecretKind]int{}
	}
	for _, secret := range secrets {
		s.made[secret.Kind]++
	}
}

// write makes the page, if it was asked for and nothing was found.
func (s *searched) write(t *testing.T) {
	if *writeSecrets == "" || t.Failed() {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# Where secrets are

Each story in `+"`test/script`"+` is a step of its own, and each of its secrets is made for it alone. All that the program printed,
its command lines, all that a collector, a webhook or a bucket got of records, and every file below the step's folder (records, evidence
packages, reports in every form) are searched for every one of them: as it is, in a URL, in base64, and for a token also by its
signature. Found anywhere but in these files below `+"`OUTPUT_DIR`"+`, or in one that others may read, it fails
the story. Written by `+"`make canary`"+` on %s; `+"`make test`"+` searches the same.

%d stories, %d runs of the program, %d bytes of output.

| Secret | Made | May lie in |
|---|---:|---|
`, time.Now().Format(time.DateOnly), s.stories, s.runs, s.output)
	for _, kind := range slices.Sorted(maps.Keys(s.made)) {
		files := "nowhere"
		if may := kind.MayHold(); len(may) > 0 {
			files = "`" + strings.Join(may, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| %s | %d | %s |\n", kind, s.made[kind], files)
	}
	fmt.Fprintf(&b, `
The command lines of %d stories are not searched: they give a token to the program there, to see that it does not take it
(%s).

Beside the stories, TestCrash ends logins with keys at hand by signals: none leaves a core, and no trace shows a secret. It is
skipped, by name, on a machine that leads cores elsewhere than into the working directory. TestPanicPrintsNoSecret,
TestErrorsPrintNoSecret and TestValuesPrintNoSecret look at what panics, errors and values show under verbs that tell more than
the program does.
`, len(tokenGiven), "`"+strings.Join(slices.Sorted(maps.Keys(tokenGiven)), "`, `")+"`")
	if err := os.WriteFile(*writeSecrets, []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
}
