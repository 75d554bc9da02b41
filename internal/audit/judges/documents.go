package judges

import (
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

// A ruling is what a document decides about a step.
type ruling struct {
	step   *audit.Step
	result trust.Result
	asked  bool // whether the step asks for what the document is about
}

// Rules are the rules about trust documents.
func (d Documents) Rules() []finding.Rule {
	return []finding.Rule{trustRefuses(), trustAdmitsOthers(), documentUnpaired()}
}

// Judge judges every step with a token against every document.
func (d Documents) Judge(steps []*audit.Step) []audit.Judgement {
	documents, err := judge.Read(d.Files)
	if err != nil {
		return nil // see Readable
	}
	rulings := d.rulings(documents, steps)
	return slices.Concat(refused(rulings), d.unpaired(documents, rulings), admitted(rulings))
}

// rulings are what each document decides about each step with a token. The verdicts about what a step asks for are noted on the
// step.
func (d Documents) rulings(documents judge.Documents, steps []*audit.Step) []ruling {
	only := onlyRoles(steps)
	var all []ruling
	for _, s := range steps {
		if !s.Token {
			continue
		}
		for _, result := range d.results(documents, s) {
			r := ruling{step: s, result: result, asked: slices.ContainsFunc(s.Asks(), func(a audit.Ask) bool { return pairs(result, a, only) })}
			if r.asked {
				s.Verdicts = append(s.Verdicts, audit.Verdict{Document: result.File, Name: result.Name, Verdict: string(result.Verdict), Reason: result.Reason})
			}
			all = append(all, r)
		}
	}
	return all
}

// onlyRoles are, by cloud, the roles that the steps ask for in clouds where they ask for one role only. Of others it is empty.
func onlyRoles(steps []*audit.Step) map[string]string {
	only := map[string]string{}
	for _, s := range steps {
		for _, a := range s.Asks() {
			if other, asked := only[a.Cloud]; asked && other != *a.Who {
				only[a.Cloud] = ""
			} else if !asked {
				only[a.Cloud] = *a.Who
			}
		}
	}
	return only
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
// role that the file asks its cloud for.
func pairs(r trust.Result, a audit.Ask, only map[string]string) bool {
	cloud := map[trust.Kind]string{"aws-role": "aws", "gcp-policy": "gcp", "gcp-provider": "gcp", "vault-role": "vault"}[r.Kind]
	if cloud == "" || a.Cloud != cloud {
		return false
	}
	who := *a.Who
	if r.ARN != "" && strings.HasPrefix(who, "arn:") && !strings.Contains(who, "$") {
		return who == r.ARN
	}
	if r.Name == "" {
		return only[cloud] == who
	}
	return who == r.Name || strings.HasSuffix(who, "/"+r.Name) || strings.HasSuffix(r.Name, "/"+who)
}

// name differs between the results of all documents.
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

// Readable reports the documents of unknown kinds.
func (d Documents) Readable() error {
	_, err := judge.Read(d.Files)
	return err
}
