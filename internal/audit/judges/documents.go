package judges

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/trust"
)

// Documents are trust configurations. Each pairs with the steps that ask for what it is about.
type Documents struct {
	Repository
	Files []trust.File
}

var _ audit.Judge = Documents{}

// ruling is what the documents decide about one step.
type ruling struct {
	step    *audit.Step
	results []trust.Result
}

// Judge judges every step with a token against every document.
func (d Documents) Judge(steps []*audit.Step) []audit.Judgement {
	documents, err := judge.Read(d.Files)
	if err != nil {
		return nil // see Readable
	}
	var rulings []ruling
	roles := map[string]bool{}
	for _, s := range steps {
		for _, a := range s.Asks() {
			roles[a.Cloud+" "+*a.Who] = true
		}
	}
	for _, s := range steps {
		if s.Token {
			rulings = append(rulings, ruling{s, d.results(documents, s)})
		}
	}
	only := ""
	if len(roles) == 1 {
		for role := range roles {
			only = role
		}
	}
	var all []audit.Judgement
	admitted := map[string][]ruling{} // by document and name
	asked := map[string][]*audit.Step{}
	var order []string
	for _, r := range rulings {
		for _, result := range r.results {
			key := name(result)
			asks := slices.ContainsFunc(r.step.Asks(), func(a audit.Ask) bool { return pairs(result, a, only) })
			if asks {
				r.step.Verdicts = append(r.step.Verdicts, audit.Verdict{Document: result.File, Name: result.Name, Verdict: string(result.Verdict), Reason: result.Reason})
				asked[key] = append(asked[key], r.step)
			}
			switch {
			case asks && result.Verdict == trust.Deny:
				all = append(all, audit.Judgement{
					Rule: audit.TrustRefuses(), Steps: []*audit.Step{r.step}, About: key,
					Message: fmt.Sprintf("%s refuses the step: %s", title(result), sentence(result.Reason)),
				})
			case !asks && result.Verdict == trust.Allow:
				if admitted[key] == nil {
					order = append(order, key)
				}
				admitted[key] = append(admitted[key], ruling{r.step, []trust.Result{result}})
			}
		}
	}
	all = append(all, d.unpaired(documents, asked)...)
	for _, key := range order {
		if j, found := others(key, admitted[key], asked[key]); found {
			all = append(all, j)
		}
	}
	return all
}

// others is the finding about steps that a document lets in and that do not ask for it. Steps of the same subject cannot be told
// apart and are left out, but for those of pull requests: nobody has reviewed them.
func others(key string, admitted []ruling, asked []*audit.Step) (audit.Judgement, bool) {
	if len(asked) == 0 {
		return audit.Judgement{}, false
	}
	j := audit.Judgement{Rule: audit.TrustAdmitsOthers(), Severity: finding.Warning, About: key}
	reviewed := slices.ContainsFunc(asked, func(s *audit.Step) bool { return !s.PullRequest })
	for _, r := range admitted {
		same := slices.ContainsFunc(asked, func(s *audit.Step) bool { return strings.EqualFold(*s.Subject, *r.step.Subject) })
		unreviewed := r.step.PullRequest && reviewed
		if same && !unreviewed {
			continue
		}
		if unreviewed {
			j.Severity = finding.Error
		}
		j.Steps = append(j.Steps, r.step)
	}
	if len(j.Steps) == 0 {
		return j, false
	}
	j.Message = fmt.Sprintf("%s also lets in %d of the file's steps that do not ask for it.", title(admitted[0].results[0]), len(j.Steps))
	return j, true
}

// results are what the documents decide about a step, on all its branches.
func (d Documents) results(documents judge.Documents, s *audit.Step) []trust.Result {
	members, certain := d.members(s)
	var all []trust.Result
	for i, m := range members {
		results := d.judge(documents, s, m, certain)
		if i == 0 {
			all = results
			continue
		}
		for j := range all {
			if j < len(results) && results[j].Verdict != all[j].Verdict {
				all[j].Verdict, all[j].Reason = trust.Undecided, "It depends on the branch."
			}
		}
	}
	return all
}

func (d Documents) judge(documents judge.Documents, s *audit.Step, m member, certain bool) []trust.Result {
	repository := d.Repository
	if !repository.known() { // only to learn what the documents are about
		repository.Workspace, repository.WorkspaceUUID, repository.RepositoryUUID = "unknown", madeUp(0), madeUp(0)
	}
	id, err := repository.partly(s, m)
	if err != nil {
		return nil
	}
	results := documents.Judge(id, trust.Options{Now: d.Now, Duration: time.Hour})
	for i := range results {
		r := &results[i]
		switch {
		case !d.known():
			r.Verdict, r.Reason = trust.Undecided, "The workspace or the repository is not known: give --workspace, --workspace-uuid and --repository."
		case !certain:
			r.Verdict, r.Reason = trust.Undecided, "It is not confirmed whether `environment:` without `deployment:` comes into the token."
		}
	}
	return results
}

// pairs reports whether a document is about what a step asks for: by ARN or by name. A document without a name pairs with the only
// role of the file.
func pairs(r trust.Result, a audit.Ask, only string) bool {
	cloud := map[trust.Kind]string{"aws-role": "aws", "gcp-policy": "gcp", "gcp-provider": "gcp", "vault-role": "vault"}[r.Kind]
	if cloud == "" || a.Cloud != cloud {
		return false
	}
	who := *a.Who
	if r.ARN != "" && strings.HasPrefix(who, "arn:") && !strings.Contains(who, "$") {
		return who == r.ARN
	}
	if r.Name == "" {
		return only == a.Cloud+" "+who
	}
	return who == r.Name || strings.HasSuffix(who, "/"+r.Name) || strings.HasSuffix(r.Name, "/"+who)
}

// name tells the results of all documents apart.
func name(r trust.Result) string { return r.File + "\x00" + r.Name + "\x00" + r.ARN }

func title(r trust.Result) string {
	if r.Name == "" {
		return "The policy in " + r.File
	}
	return "The policy of " + r.Name + " in " + r.File
}

// sentence ends a text with a full stop.
func sentence(text string) string {
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// Readable reports the documents whose kind is not known.
func (d Documents) Readable() error {
	_, err := judge.Read(d.Files)
	return err
}

// unpaired finds the roles that no step asks for. A provider is no role: it stands beside them.
func (d Documents) unpaired(documents judge.Documents, asked map[string][]*audit.Step) []audit.Judgement {
	var all []audit.Judgement
	for _, r := range d.judge(documents, &audit.Step{}, member{}, true) {
		key := name(r)
		if asked[key] == nil && r.Kind != "aws-provider" && r.Kind != "gcp-provider" {
			all = append(all, audit.Judgement{Rule: audit.DocumentUnpaired(), About: key, Message: title(r) + " is not judged: no step of the file asks for it."})
		}
	}
	return all
}
