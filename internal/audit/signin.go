package audit

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/script"
)

// signIns finds the identities that the step asks for, where the file shows it.
func (s *step) signIns(ours []string) {
	if i := s.src.Image; i != nil && i.OIDCRole != "" {
		s.ask("aws", "image-oidc-role", i.OIDCRole, i.RoleAt)
	}
	s.webIdentity()
	for i := range s.commands {
		s.client(s.commands[i])
	}
	if _, at, ok := s.set("DATABRICKS_OIDC_TOKEN_ENV"); ok {
		who, _, _ := s.set("DATABRICKS_CLIENT_ID")
		s.ask("databricks", "token-cli", who, at)
	}
	for _, p := range s.pipes {
		s.pipe(p, ours)
	}
	if key, ok := s.stored(); ok {
		s.keys = &key
		s.ask(key.cloud, "static-keys", "", key.place)
	}
}

// federated are the sign-ins with the step's token.
func (s *step) federated() []Cloud {
	return slices.DeleteFunc(slices.Clone(s.Clouds), func(c Cloud) bool { return c.How == "static-keys" })
}

// guess adds a sign-in whose identity is not known, where a script or a pipe may sign in and the file shows no sign-in.
func (s *step) guess(ours []string) {
	if !s.Token || s.src.Child != "" || len(s.federated()) > 0 {
		return
	}
	switch {
	case len(s.opaque) > 0:
		s.unseen = &s.opaque[0]
		s.ask("unknown", s.unseen.how, "", s.unseen.at)
	case len(s.pipes) > 0:
		p := s.pipes[0]
		s.unseen = &opaque{"other-pipe", p.Name, p.place}
		switch {
		case isOurs(p, ours):
			s.unseen.how = "our-pipe"
		case p.owner == "atlassian":
			s.unseen.how = "atlassian-pipe"
		}
		s.ask(pipeCloud(p.name), s.unseen.how, "", p.place)
	}
}

// pipeCloud is the cloud that the name of a pipe names.
func pipeCloud(name string) string {
	for _, cloud := range [][2]string{{"aws", "aws"}, {"gcp", "gcp"}, {"google", "gcp"}, {"gke", "gcp"}, {"firebase", "gcp"}, {"vault", "vault"}, {"azure", "azure"}} {
		if strings.Contains(name, cloud[0]) {
			return cloud[1]
		}
	}
	return "unknown"
}

func (s *step) ask(cloud, how, who string, at place) {
	who = s.literal(who)
	c := Cloud{cloud, how, ptr(who), at.Line, at.Column}
	if !slices.ContainsFunc(s.Clouds, func(o Cloud) bool { return o.Cloud == cloud && o.How == how && str(o.Who) == who }) {
		s.Clouds = append(s.Clouds, c)
	}
}

// webIdentity finds a sign-in by the AWS SDKs: a file with the token, named by a variable or by a profile.
func (s *step) webIdentity() {
	_, at, ok := s.set("AWS_WEB_IDENTITY_TOKEN_FILE")
	roles := s.sets["AWS_ROLE_ARN"]
	switch {
	case !ok && len(roles) > 0 && s.usesCLI():
		return // the role is for the command
	case !ok && s.profiles():
		return
	case len(roles) > 0 && (ok || s.Token):
		for _, role := range roles {
			s.ask("aws", "web-identity-file", role.value, role.at)
		}
	case ok:
		s.ask("aws", "web-identity-file", "", at)
	}
}

// profiles finds profiles of AWS that name a file with the token, and their roles.
func (s *step) profiles() bool {
	var file *place
	var roles []assigned
	for _, c := range s.commands {
		key, value, text := "", "", ""
		switch name := c.Name(); {
		case name == "aws" && strings.Contains(c.Text(), " configure set "):
			i := slices.IndexFunc(c.Words, func(w script.Word) bool { return w.Text == "set" })
			if i+2 < len(c.Words) {
				key, value = c.Words[i+1].Text, c.Words[i+2].Text
				text = key
			}
		case c.Here != nil:
			text = c.Here.Text
		case name == "echo" || name == "printf":
			text = strings.ReplaceAll(strings.Join(strings.Fields(strings.TrimPrefix(c.Text(), name)), " "), `\n`, "\n")
		}
		if strings.Contains(text, "web_identity_token_file") && file == nil {
			file = &c.at
		}
		if strings.HasSuffix(key, "role_arn") {
			roles = append(roles, assigned{value, c.at})
		}
		for _, line := range strings.Split(text, "\n") {
			if m := roleLine.FindStringSubmatch(line); m != nil {
				roles = append(roles, assigned{m[1], c.at})
			}
		}
	}
	if file == nil {
		return false
	}
	for _, role := range roles {
		s.ask("aws", "web-identity-file", role.value, role.at)
	}
	if len(roles) == 0 {
		s.ask("aws", "web-identity-file", "", *file)
	}
	return true
}

var roleLine = pattern.New(`^\s*(?:-e )?role_arn\s*=\s*(\S+)`)

func (s *step) usesCLI() bool {
	return slices.ContainsFunc(s.commands, func(c command) bool { return strings.Contains(c.Text(), "assume-role-with-web-identity") })
}

// client finds a sign-in by a client on the command line.
func (s *step) client(c command) {
	text, name := c.Text(), c.Name()
	switch {
	case c.Is("echo", "printf"), c.Is(cmdlets()...):
	case strings.Contains(text, "sts assume-role-with-web-identity"):
		s.ask("aws", "assume-role-cli", flag(c.Words, "--role-arn"), c.at)
	case strings.Contains(text, "sts assume-role"):
		s.ask("aws", "assume-role-chain", flag(c.Words, "--role-arn"), c.at)
	case strings.Contains(text, "create-cred-config"):
		who := flag(c.Words, "--service-account")
		if who == "" {
			who = providerOf(c.Words)
		}
		s.ask("gcp", "create-cred-config", who, c.at)
	case name == "gcloud" && strings.Contains(text, "--cred-file"), c.Here != nil && strings.Contains(c.Here.Text, "external_account"):
		if !slices.ContainsFunc(s.Clouds, func(o Cloud) bool { return o.Cloud == "gcp" }) {
			who := ""
			if c.Here != nil {
				if m := serviceAccount.FindStringSubmatch(c.Here.Text); m != nil {
					who = m[1]
				}
			}
			s.ask("gcp", "create-cred-config", who, c.at)
		}
	case name == "vault" && vaultLogin.MatchString(text):
		s.ask("vault", "vault-cli", vaultRole(text), c.at)
	case (name == "curl" || name == "wget") && s.http(c):
	default:
		for _, cli := range tokenClients() {
			if cli.pattern.MatchString(text) && !(cli.needsToken && !s.uses(c)) {
				s.ask(cli.cloud, "token-cli", flag(c.Words, cli.who), c.at)
				return
			}
		}
	}
}

var (
	vaultLogin     = pattern.New(`\bwrite\b.*auth/\S+/login\b|\blogin\b.*-method=(?:jwt|oidc)`)
	serviceAccount = pattern.New(`serviceAccounts/([^":]+):generateAccessToken`)
	roleOfVault    = pattern.New(`\brole="?([^\s"]+)`)
)

func vaultRole(text string) string {
	if m := roleOfVault.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// providerOf is the provider that create-cred-config names: a word with its path, or one that a variable holds.
func providerOf(words []script.Word) string {
	for i, w := range words {
		if strings.Contains(w.Text, "workloadIdentityPools/") {
			return w.Text
		}
		if w.Text == "create-cred-config" && i+1 < len(words) && strings.HasPrefix(words[i+1].Text, "$") {
			return words[i+1].Text
		}
	}
	return ""
}

// A tokenClient is a program that takes the step's token and trades it at a service.
type tokenClient struct {
	pattern    *pattern.Pattern
	cloud, who string // who: the flag that names the identity
	needsToken bool   // whether it counts only with the token as an argument
}

func tokenClients() []tokenClient {
	return []tokenClient{
		{chainctl, "chainguard", "--identity", false},
		{infisical, "infisical", "--machine-identity-id", false},
		{faasCLI, "openfaas", "", true},
		{azLogin, "azure", "--username", false},
		{anyJWT, "unknown", "", true},
	}
}

var (
	chainctl  = pattern.New(`\bchainctl auth login\b`)
	infisical = pattern.New(`\binfisical login\b.*--method[= ]oidc|--oidc-jwt`)
	faasCLI   = pattern.New(`\bfaas-cli\b`)
	azLogin   = pattern.New(`\baz login\b.*--federated-token`)
	anyJWT    = pattern.New(`\b(?:login|auth|authenticate|exchange|token)\b`)
)

// isOurs reports whether a pipe is this one, which leaves credentials for later commands. A name of ours may be written as a step
// calls the pipe.
func isOurs(p pipe, ours []string) bool {
	bare := func(name string) string {
		name, _ = splitVersion(strings.TrimPrefix(name, "docker://"))
		return name
	}
	full := bare(p.Name)
	return p.name == "bitbucket-oidc" || slices.ContainsFunc(ours, func(name string) bool { return bare(name) == full || bare(name) == p.name })
}

// ourClouds are the variables of this pipe that name the identity of the step.
func ourClouds() [][2]string {
	return [][2]string{
		{"AWS_OIDC_ROLE_ARN", "aws"}, {"AWS_OIDC_ROLES", "aws"}, {"GCP_SERVICE_ACCOUNT", "gcp"}, {"GCP_WORKLOAD_IDENTITY_PROVIDER", "gcp"}, {"VAULT_ROLE", "vault"},
		{"VAULT_ADDR", "vault"}, {"OKTA_WORKLOAD_ROLE", "okta"}, {"OKTA_ORG_URL", "okta"}, {"OAUTH_TOKEN_URL", "oauth"}, {"JFROG_OIDC_PROVIDER", "jfrog"}, {"JFROG_URL", "jfrog"},
		{"CLOUDSMITH_SERVICE", "cloudsmith"}, {"CLOUDSMITH_ORG", "cloudsmith"}, {"DATABRICKS_CLIENT_ID", "databricks"}, {"DATABRICKS_HOST", "databricks"}, {"PULUMI_ORG", "pulumi"},
	}
}

// pipe finds a sign-in by a pipe.
func (s *step) pipe(p pipe, ours []string) {
	if isOurs(p, ours) {
		if _, command := p.Value("COMMAND"); command != "" && command != "login" {
			return
		}
		seen := map[string]bool{}
		for _, c := range ourClouds() {
			v, value := p.Value(c[0])
			if v.Name == "" || seen[c[1]] {
				continue
			}
			seen[c[1]] = true
			if c[0] == "AWS_OIDC_ROLES" {
				for _, line := range strings.Fields(value) {
					if _, arn, ok := strings.Cut(line, "="); ok {
						line = arn
					}
					s.ask(c[1], "our-pipe", strings.Trim(line, ","), p.place)
				}
				continue
			}
			if c[0] == "VAULT_ADDR" || strings.HasSuffix(c[0], "_URL") || strings.HasSuffix(c[0], "_HOST") {
				value = ""
			}
			s.ask(c[1], "our-pipe", value, p.place)
		}
		return
	}
	how := "other-pipe"
	if p.owner == "atlassian" && !p.docker {
		how = "atlassian-pipe"
	}
	for _, v := range p.Variables {
		value := strings.Join(v.Values, " ")
		switch v.Name {
		case "AWS_OIDC_ROLE_ARN", "ROLE_ARN", "AWS_ROLE_ARN":
			if s.Token || v.Name == "AWS_OIDC_ROLE_ARN" {
				s.ask("aws", how, value, p.place)
			}
		case "GOOGLE_OIDC_CONFIG_FILE":
			s.ask("gcp", how, "", p.place)
		case "CONJUR_URL":
			s.ask("conjur", how, "", p.place)
		case "OIDC_AUDIENCE":
			if _, role := p.Value("ROLE_ARN"); role == "" {
				s.ask("aws", how, "", p.place)
			}
		default:
			if bare(value) && strings.Trim(value, "${}") == tokenVariable {
				s.ask("unknown", how, "", p.place)
			}
		}
	}
}
