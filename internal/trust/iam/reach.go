package iam

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// Bounds of the work on one policy: what they leave out is undecided.
const (
	cellSteps    = 2_000_000 // of patterns, over one character each, for one cell
	policySteps  = 5_000_000 // for all cells of a policy
	searchRounds = 64        // of a search for a witness that is nobody known
)

// Reach finds who gets in through the role.
func (r *Role) Reach(ctx context.Context, u bitbucket.Universe) []trust.Cell {
	return r.role.reach(ctx, u)
}

// Trusts reports whether the role is worth a result: one of a list is only if it trusts the universe's workspace.
func (r *Role) Trusts(u bitbucket.Universe) bool { return !r.listed || r.role.trusts(u) }

// Target is the role's ARN, or empty.
func (r *Role) Target() string { return r.role.arn }

// trusts reports whether a role's policy names a provider of the universe's workspace, or of any.
func (r role) trusts(u bitbucket.Universe) bool {
	want := strings.TrimPrefix(u.Issuer, "https://")
	return slices.ContainsFunc(r.policy.statements, func(s statement) bool {
		return slices.ContainsFunc(s.principals.federated, func(name string) bool {
			return strings.Contains(name, want) && (want != "" || strings.Contains(name, "api.bitbucket.org/"))
		})
	})
}

// reach finds who gets in through a role's trust policy, for each workspace of Bitbucket that the policy trusts. The cells are those
// of what the policy or the universe names, and of the rest of the workspace.
func (r role) reach(ctx context.Context, u bitbucket.Universe) []trust.Cell {
	u = u.Normal()
	var all []trust.Cell
	for _, issuer := range r.issuers(u) {
		v := u
		v.Issuer = issuer
		all = append(all, newPolicyReach(ctx, r, v).cells()...)
	}
	return all
}

// issuers are the universe's, or else those of Bitbucket's that Allow statements name, in their order.
func (r role) issuers(u bitbucket.Universe) []string {
	if u.Issuer != "" {
		return []string{u.Issuer}
	}
	var all []string
	for _, s := range r.policy.statements {
		for _, name := range s.principals.federated {
			p, ok := parseProviderARN(name)
			if ok && s.effect == "Allow" && strings.HasPrefix(p.path, "api.bitbucket.org/") && !slices.Contains(all, "https://"+p.path) {
				all = append(all, "https://"+p.path)
			}
		}
	}
	return all
}

// A clause is a condition as far as it depends on the subject.
type clause struct {
	holds   trust.Truth // whatever the subject, where there are no atoms
	decides bool        // whether there is more than holds
	holding []int       // atoms of which one makes it hold
	unsure  []int       // atoms of which one makes it unknown
	negated bool
	twin    int // the first condition with this operator and key, or -1
}

// eval is whether the condition holds for a subject that matches the atoms in met.
func (c clause) eval(met []uint64) trust.Truth {
	if !c.decides {
		return c.holds
	}
	match := c.holds
	for _, i := range c.holding {
		if met[i/64]&(1<<(i%64)) != 0 {
			match = trust.Yes
		}
	}
	for _, i := range c.unsure {
		if met[i/64]&(1<<(i%64)) != 0 {
			match = max(match, trust.Unknown)
		}
	}
	if c.negated {
		return match.Not()
	}
	return match
}

// A sieve is a statement as far as it depends on the subject.
type sieve struct {
	deny    bool
	matches trust.Truth // without its conditions
	clauses []clause
}

func (s sieve) eval(met []uint64) trust.Truth {
	holds := s.matches
	twins := false
	for _, c := range s.clauses {
		holds = min(holds, c.eval(met))
		twins = twins || c.twin >= 0
	}
	if !twins {
		return holds
	}
	// As reconcile does.
	each := make([]trust.Truth, len(s.clauses))
	for i, c := range s.clauses {
		each[i] = c.eval(met)
		if c.twin >= 0 && each[c.twin] != each[i] {
			each[i], each[c.twin] = trust.Unknown, trust.Unknown
		}
	}
	return min(s.matches, slices.Min(each))
}

// admits is what a policy makes of a subject: a matching Deny outweighs a matching Allow.
func admits(sieves []sieve, met []uint64) trust.Truth {
	allowed, denied := trust.No, trust.No
	for _, s := range sieves {
		if s.deny {
			denied = max(denied, s.eval(met))
		} else {
			allowed = max(allowed, s.eval(met))
		}
	}
	return min(allowed, denied.Not())
}

// A policyReach decides the cells of one policy and one workspace.
type policyReach struct {
	ctx       context.Context
	u         bitbucket.Universe
	atoms     []atom
	index     map[string]int // of atoms
	sieves    [][]sieve      // by list of audiences
	audiences [][]string
	usual     int // how many of the lists are those of steps that ask for nothing more
	why       string
	named     []string // UUIDs in the policy and in the controls, in order
	own       []string // those in the policy
	values    []string // for the subject
	left      int
	simple    bool // no value tells parts of UUIDs apart, so that one representative of a cell decides
	brief     bool // decides Reach only, and looks for nobody who is refused
}

// newPolicyReach reads a policy for a workspace.
func newPolicyReach(ctx context.Context, role role, u bitbucket.Universe) *policyReach {
	a := &policyReach{ctx: ctx, u: u, index: map[string]int{}, left: policySteps}
	a.read(role)
	a.lists(role)
	for _, list := range a.audiences {
		a.sieves = append(a.sieves, a.compile(role, list))
	}
	a.dedupe()
	a.simple = !slices.ContainsFunc(a.atoms, func(atom atom) bool { return !atom.never && !whole(atom.pattern) })
	return a
}

// subjectKey is the condition key of the subject, in lower case.
func (a *policyReach) subjectKey() string { return a.key("sub") }

func (a *policyReach) key(claim string) string {
	return fold(strings.TrimPrefix(a.u.Issuer, "https://")) + ":" + claim
}

// read finds what the policy names.
func (a *policyReach) read(role role) {
	for i, s := range role.statements() {
		for _, c := range s.conditions {
			if c.lower != a.subjectKey() {
				continue
			}
			for _, value := range c.values {
				value = strings.ToLower(value)
				a.values = append(a.values, value)
				for _, span := range bitbucket.UUIDs(value) {
					uuid := "{" + value[span.Start:span.End] + "}"
					a.named = append(a.named, uuid)
					if i < len(role.policy.statements) {
						a.own = append(a.own, uuid)
					}
				}
			}
		}
	}
	slices.Sort(a.named)
	a.named = slices.Compact(a.named)
}

// lists are the lists of audiences that steps can have.
func (a *policyReach) lists(role role) {
	var named []string
	for _, s := range role.statements() {
		for _, c := range s.conditions {
			if c.lower != a.key("aud") {
				continue
			}
			for _, value := range c.values {
				named = append(named, instance(value))
			}
		}
	}
	a.audiences, a.usual = a.u.AudienceLists(distinct(named))
}

// instance is an audience that a pattern matches.
func instance(value string) string {
	return strings.NewReplacer("*", "x", "?", "x").Replace(value)
}

// dedupe drops lists of audiences that come to the same, and counts anew how many of them are usual.
func (a *policyReach) dedupe() {
	same := func(x, y []sieve) bool {
		return slices.EqualFunc(x, y, func(s, t sieve) bool {
			return s.deny == t.deny && s.matches == t.matches && slices.EqualFunc(s.clauses, t.clauses, func(c, d clause) bool {
				return c.holds == d.holds && c.decides == d.decides && c.negated == d.negated && c.twin == d.twin &&
					slices.Equal(c.holding, d.holding) && slices.Equal(c.unsure, d.unsure)
			})
		})
	}
	var sieves [][]sieve
	var lists [][]string
	usual := 0
	for i := range a.sieves {
		if slices.ContainsFunc(sieves, func(s []sieve) bool { return same(s, a.sieves[i]) }) {
			continue
		}
		sieves, lists = append(sieves, a.sieves[i]), append(lists, a.audiences[i])
		if i < a.usual {
			usual++
		}
	}
	a.sieves, a.audiences, a.usual = sieves, lists, usual
}

// compile reads the statements for a list of audiences.
func (a *policyReach) compile(role role, audience []string) []sieve {
	id := bitbucket.Identity{}
	id.Claims.Issuer, id.Claims.Audience, id.Claims.Subject = a.u.Issuer, audience, "{subject}"
	j := roleJudgement{id: id, request: newRequest(id.Claims), role: role}
	if len(role.policy.refusals) > 0 {
		return nil // IAM would not store it
	}
	var all []sieve
	for _, s := range role.policy.statements {
		judged := judgedStatement{statement: s, named: j.namesProvider(s), covers: s.covers()}
		sieve := sieve{deny: s.effect == "Deny", matches: min(judged.aboutWebIdentities(), judged.covers)}
		if sieve.matches == trust.No || s.effect != "Deny" && s.effect != "Allow" {
			continue
		}
		a.note(sieve.matches, everyoneUnsaid)
		sieve.clauses = a.clauses(j.request, s, role.policy.variables)
		all = append(all, sieve)
	}
	for _, c := range role.controls {
		for _, s := range c.policy.statements {
			judged := j.control(c, s)
			if judged.covers == trust.No {
				continue
			}
			a.note(judged.matches, judged.why)
			all = append(all, sieve{deny: true, matches: judged.matches, clauses: a.clauses(j.request, s, c.policy.variables)})
		}
	}
	return all
}

// clauses reads the conditions of a statement.
func (a *policyReach) clauses(request request, s statement, variables bool) []clause {
	var all []clause
	first := map[string]int{}
	for i, c := range s.conditions {
		clause := a.clause(request, c, variables)
		clause.twin = -1
		key := fold(c.name) + " " + c.lower
		if at, twice := first[key]; twice {
			clause.twin = at
		} else {
			first[key] = i
		}
		all = append(all, clause)
	}
	return all
}

// clause reads a condition.
func (a *policyReach) clause(request request, c condition, variables bool) clause {
	if c.lower != a.subjectKey() {
		judged := request.evaluate(c, variables)
		if len(judged.actual) > 0 && variables && c.variable && slices.ContainsFunc(c.values, func(v string) bool { return hasVariable(v, a.subjectKey()) }) {
			judged.holds, judged.why = trust.Unknown, "a policy variable for the subject"
		}
		a.note(judged.holds, judged.why)
		return clause{holds: judged.holds}
	}
	if c.match == nil || len(c.values) == 0 || c.null {
		judged := request.evaluate(c, variables)
		a.note(judged.holds, judged.why)
		return clause{holds: judged.holds}
	}
	got := clause{decides: true, negated: c.negated}
	for _, value := range c.values {
		a.value(&got, request, c, value, variables && c.variable)
	}
	return got
}

// note keeps the first reason for which something is unknown.
func (a *policyReach) note(holds trust.Truth, why string) {
	if holds == trust.Unknown && a.why == "" {
		a.why = why
	}
}

// value adds one of a condition's values.
func (a *policyReach) value(to *clause, request request, c condition, value string, variables bool) {
	unsure := func(why string) {
		to.holds = max(to.holds, trust.Unknown)
		a.note(trust.Unknown, why)
	}
	text := c.literal || c.like && !c.arn
	if variables && hasVariable(value, a.subjectKey()) {
		if name, whole := strings.CutPrefix(value, "${"); whole && text && strings.EqualFold(strings.TrimSpace(strings.TrimSuffix(name, "}")), a.subjectKey()) && strings.HasSuffix(value, "}") {
			to.holds = trust.Yes // every subject is itself
			return
		}
		unsure("a policy variable for the subject in the value of " + c.key)
		return
	}
	p, state := request.expand(value, c.like, variables)
	switch {
	case state == trust.No:
	case state == trust.Unknown:
		unsure("a policy variable whose value neither the policy nor the token contains")
	case text, c.boolean && !strings.Contains(value, "${"):
		to.holding = append(to.holding, a.atom(p, c.anyCase || c.boolean))
	case c.arn && !c.negated && c.set != forAllValues: // what differs as a text is none: see matchSomeARN
		to.unsure = append(to.unsure, a.atom(p, false))
		a.note(trust.Unknown, "what "+c.name+" makes of a subject, which AWS does not say")
	default:
		unsure("what " + c.name + " makes of a subject, which AWS does not say")
	}
}

// atom is the number of a pattern among those of the policy.
func (a *policyReach) atom(p pattern, anyCase bool) int {
	read := newAtom(p, anyCase)
	key := string(runesKey(read.pattern))
	i, ok := a.index[key]
	if !ok {
		i = len(a.atoms)
		a.index[key] = i
		a.atoms = append(a.atoms, read)
	}
	return i
}

// runesKey tells patterns apart, wildcards from the characters that look like them.
func runesKey(p pattern) []rune {
	key := make([]rune, 0, len(p))
	for _, r := range p {
		switch r {
		case many:
			r = 0x10fffe
		case one:
			r = 0x10ffff
		}
		key = append(key, r)
	}
	return key
}

// hasVariable reports whether a value has a policy variable for a key in lower case. It reads variables as [request.expand] does.
func hasVariable(value, key string) bool {
	for {
		_, after, found := strings.Cut(value, "${")
		name, rest, closed := strings.Cut(after, "}")
		if !found || !closed {
			return false
		}
		if variableKey(name) == key {
			return true
		}
		value = rest
	}
}

// A place is where a value names UUIDs: a repository, and an environment that may be of any repository.
type place struct{ repository, environment string }

// places are the repositories and environments that the policy names, as far as their place in a value tells which is which.
func (a *policyReach) places() (repositories []string, environments []place) {
	for _, value := range a.values {
		before := ""
		for _, span := range bitbucket.UUIDs(value) {
			uuid := "{" + value[span.Start:span.End] + "}"
			lead, tail := value[:span.Start], strings.TrimPrefix(value[span.End:], "}")
			if !strings.Contains(lead, ":") {
				repositories = append(repositories, uuid)
			}
			if strings.ContainsAny(lead, ":*?") && tail != "" {
				environments = append(environments, place{before, uuid})
			}
			before = uuid
		}
	}
	slices.Sort(repositories)
	return slices.Compact(repositories), distinct(environments)
}

// cells decides every cell. Repositories that only the universe names are like any other where those are all refused.
func (a *policyReach) cells() []trust.Cell {
	named, environments := a.places()
	none, any := a.decide("", "", false), a.decide("", "", true)
	rest := []trust.Cell{none, any}
	refused := !none.Reach.Maybe && !any.Reach.Maybe
	for _, e := range environments {
		if _, known := a.u.Owner(e.environment); e.repository == "" && !known {
			rest = append(rest, a.decide("", e.environment, true))
		} else if owner, _ := a.u.Owner(e.environment); known && !slices.Contains(named, owner.UUID) {
			named = append(named, owner.UUID)
		}
	}
	var all []trust.Cell
	for _, r := range a.u.Repositories {
		if refused && !slices.Contains(named, r.UUID) {
			if !a.u.Terse {
				all = append(all, a.refused(r)...)
			}
			continue
		}
		all = append(all, a.repository(r.UUID, environments)...)
	}
	for _, uuid := range named {
		_, known := a.u.Repository(uuid)
		if _, environment := a.u.Owner(uuid); !known && !environment {
			all = append(all, a.repository(uuid, environments)...)
		}
	}
	return append(all, rest...)
}

// repository decides the cells of one repository.
func (a *policyReach) repository(uuid string, named []place) []trust.Cell {
	all := []trust.Cell{a.decide(uuid, "", false)}
	r, _ := a.u.Repository(uuid)
	for _, e := range r.Environments {
		all = append(all, a.decide(uuid, e.UUID, true))
	}
	for _, e := range named {
		_, known := a.u.Owner(e.environment)
		if _, isRepository := a.u.Repository(e.environment); known || isRepository || e.repository != "" && e.repository != uuid || e.environment == uuid {
			continue
		}
		if c := a.decide(uuid, e.environment, true); !slices.ContainsFunc(all, func(o trust.Cell) bool { return o.Who == c.Who }) {
			all = append(all, c)
		}
	}
	return append(all, a.decide(uuid, "", true))
}

// refused are the cells of a repository of which nobody gets in, whoever it is.
func (a *policyReach) refused(r bitbucket.Repository) []trust.Cell {
	made := bitbucket.MadeUpUUIDs()
	cell := func(environment string, deployment bool) trust.Cell {
		c := trust.NewCell(a.u, r.UUID, environment, deployment)
		if deployment && environment == "" {
			environment = made[1]
		}
		id := a.u.Member(bitbucket.Member{Repository: r.UUID, Environment: environment, Step: made[2], Audience: a.audiences[0]})
		c.Reach.Refused, c.Usual.Refused = &id, &id
		return c
	}
	all := []trust.Cell{cell("", false)}
	for _, e := range r.Environments {
		all = append(all, cell(e.UUID, true))
	}
	return append(all, cell("", true))
}

// decide decides one cell.
func (a *policyReach) decide(repository, environment string, deployment bool) trust.Cell {
	c := trust.NewCell(a.u, repository, environment, deployment)
	c.Reach = a.extent(c, a.sieves, a.audiences)
	c.Usual = c.Reach
	if !a.brief && a.usual < len(a.sieves) {
		c.Usual = a.extent(c, a.sieves[:a.usual], a.audiences[:a.usual])
	}
	return c
}

// form is what the subjects of a cell look like. UUIDs that the policy names are of repositories and environments that have cells of
// their own, or of steps, and each step has a UUID of its own.
func (a *policyReach) form(c trust.Cell, except []string) form {
	var f form
	f.append(c.Repository, except)
	if c.Deployment {
		f.append(c.Environment, except)
	}
	f.append("", except)
	return f
}

// extent decides how much of a cell gets in with one of the lists of audiences.
func (a *policyReach) extent(c trust.Cell, sieves [][]sieve, audiences [][]string) trust.Extent {
	admit := func(met []uint64) trust.Truth {
		best := trust.No
		for _, s := range sieves {
			best = max(best, admits(s, met))
		}
		return best
	}
	known := a.u.Known()
	if e, ok := a.represented(c, admit, known, audiences, sieves); ok {
		return e
	}
	except := slices.Clone(a.named)
	for range searchRounds {
		left := min(cellSteps, a.left)
		before := left
		w := &walker{ctx: a.ctx, form: a.form(c, except), atoms: a.atoms, admit: admit, memo: map[string]harvest{}, left: &left}
		start := w.start()
		got := w.walk(start, 0)
		a.left -= before - max(left, 0)
		if w.spent {
			break
		}
		e := trust.Extent{Some: got.some, All: got.all && got.inside, Maybe: got.maybe, MaybeAll: got.maybeAll && got.inside, Share: got.share}
		if !e.Some {
			e.Share = got.maybeShare
		}
		if e.Maybe && !e.Some || !e.All && e.MaybeAll {
			e.Why = a.why
		}
		w.left = new(int)
		*w.left = cellSteps
		var hit []string
		e.Witness, hit = a.witness(w, start, c, known, sieves, audiences, func(h harvest) bool { return h.some || !got.some && h.maybe })
		if len(hit) == 0 && !a.brief {
			e.Refused, hit = a.witness(w, start, c, known, sieves[:1], audiences, func(h harvest) bool { return !h.maybeAll })
		}
		if len(hit) == 0 {
			e.Pinned = a.pinned(c, admit)
			return e
		}
		except = append(except, hit...)
		slices.Sort(except)
	}
	return trust.Extent{Maybe: true, MaybeAll: true, Share: 1, Why: "more cases than are tried here"}
}

// represented decides a cell by one subject of it, where that one is like all others: values that hold whole UUIDs, colons and stars
// and nothing else cannot tell apart what they do not name.
func (a *policyReach) represented(c trust.Cell, admit func([]uint64) trust.Truth, known []string, audiences [][]string, sieves [][]sieve) (trust.Extent, bool) {
	made := bitbucket.MadeUpUUIDs()
	if !a.simple || slices.ContainsFunc(made[:], func(uuid string) bool { return slices.Contains(a.named, uuid) || slices.Contains(known, uuid) }) {
		return trust.Extent{}, false
	}
	m := bitbucket.Member{Repository: cmp.Or(c.Repository, made[0]), Step: made[2], Audience: audiences[0]}
	subject := m.Repository + ":"
	if c.Deployment {
		m.Environment = cmp.Or(c.Environment, made[1])
		subject += m.Environment + ":"
	}
	met := a.met(subject + m.Step)
	got := admit(met)
	e := trust.Extent{Some: got == trust.Yes, All: got == trust.Yes, Maybe: got != trust.No, MaybeAll: got != trust.No, Pinned: a.pinned(c, admit)}
	switch {
	case got == trust.No && a.brief:
	case got == trust.No:
		refused := a.u.Member(m)
		e.Refused = &refused
	default:
		m.Audience = audiences[slices.IndexFunc(sieves, func(s []sieve) bool { return admits(s, met) == got })]
		witness := a.u.Member(m)
		e.Witness, e.Share = &witness, 1
	}
	if got == trust.Unknown {
		e.Why = a.why
	}
	return e, true
}

// whole reports whether a pattern holds nothing but whole UUIDs in braces, colons and stars.
func whole(p pattern) bool {
	text := make([]rune, len(p))
	for i, r := range p {
		switch r {
		case many:
			r = '*'
		case one, '*':
			return false
		}
		text[i] = r
	}
	rest := string(text)
	for _, span := range slices.Backward(bitbucket.UUIDs(rest)) {
		if !span.Braces {
			return false
		}
		rest = rest[:span.Start-1] + rest[span.End+1:]
	}
	return strings.Trim(rest, ":*") == ""
}

// witness finds somebody of a cell, or the known UUIDs that it would have where the cell is of others.
func (a *policyReach) witness(w *walker, start front, c trust.Cell, known []string, sieves [][]sieve, audiences [][]string, wanted func(harvest) bool) (*bitbucket.Identity, []string) {
	subject, found := w.find(start, wanted)
	if !found {
		return nil, nil
	}
	parts := strings.Split(subject, ":")
	step := parts[len(parts)-1]
	var hit []string
	for i, part := range parts {
		fixed := i == 0 && c.Repository != "" || i == 1 && c.Deployment && c.Environment != ""
		if _, ok := slices.BinarySearch(known, part); ok && !fixed {
			hit = append(hit, part)
		}
	}
	if len(hit) > 0 {
		return nil, hit
	}
	met := a.met(subject)
	best, list := trust.No, audiences[0]
	for i, s := range sieves {
		if got := admits(s, met); got > best {
			best, list = got, audiences[i]
		}
	}
	environment := ""
	if c.Deployment {
		environment = parts[1]
	}
	id := a.u.Member(bitbucket.Member{Repository: parts[0], Environment: environment, Step: step, Audience: list})
	return &id, nil
}

// met are the atoms that match a subject.
func (a *policyReach) met(subject string) []uint64 {
	met := make([]uint64, (len(a.atoms)+63)/64)
	for i, atom := range a.atoms {
		if !atom.never && atom.pattern.matches(subject) {
			met[i/64] |= 1 << (i % 64)
		}
	}
	return met
}

// pinned reports whether a step that the policy names may get in.
func (a *policyReach) pinned(c trust.Cell, admit func([]uint64) trust.Truth) bool {
	if c.Repository == "" || c.Deployment && c.Environment == "" {
		return false
	}
	stem := c.Repository + ":"
	if c.Deployment {
		stem += c.Environment + ":"
	}
	return slices.ContainsFunc(a.named, func(step string) bool {
		named := slices.ContainsFunc(a.values, func(v string) bool { return strings.HasSuffix(v, step) || strings.HasSuffix(v, step+"*") })
		return named && admit(a.met(stem+step)) != trust.No
	})
}

// distinct keeps the first of equal values.
func distinct[T comparable](values []T) []T {
	seen := map[T]bool{}
	return slices.DeleteFunc(slices.Clone(values), func(v T) bool {
		twice := seen[v]
		seen[v] = true
		return twice
	})
}
