package cloud

import (
	"encoding/xml"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
	stsVersion   = "2011-06-15"

	minSession     = 15 * time.Minute // least that DurationSeconds may ask for
	maxSession     = 12 * time.Hour   // most that any role may allow
	defaultSession = time.Hour        // what a role allows unless told, and what a call asks for unless told
	chainedSession = time.Hour        // most that a session may ask for that was itself made by AssumeRole*

	// defaultPackedLimit is our choice: AWS only says that there is a limit.
	defaultPackedLimit = 4096
)

// AWSConfig is what exists in the fake's AWS.
type AWSConfig struct {
	Providers []OIDCProvider
	Roles     []Role

	Now func() time.Time // nil: time.Now

	// Lifetime, if set, is how long every session lasts, whatever was asked for and allowed. It makes expiry testable.
	Lifetime time.Duration

	// PackedLimit is how many bytes of tags and session policies fit, 0 for a generous default.
	PackedLimit int

	IAM Inventory
}

// An OIDCProvider is an IAM OIDC identity provider: account and issuer URL identify it.
type OIDCProvider struct {
	Account   string
	Issuer    *Issuer
	ClientIDs []string // audiences; tokens need one of them
}

// A Role is an IAM role.
type Role struct {
	ARN        string
	MaxSession time.Duration // 0: one hour
	Trust      []Trust

	// Policy is the trust policy as IAM shows it, instead of one made of Trust.
	Policy string

	// May are the reads of IAM that the role's sessions may make, such as iam:ListRoles; nil: all.
	May []string
}

// Trust is one Allow statement of a role's trust policy. Its zero conditions are not checked, as IAM does not check what
// a policy leaves out.
type Trust struct {
	Actions []string // such as sts:AssumeRoleWithWebIdentity

	// Issuer is the URL of the federated principal, in the role's account; Audience and Subject are conditions on its
	// `:aud` (StringEquals) and `:sub` (StringLike).
	Issuer   string
	Audience string
	Subject  string

	// Role is the ARN of the principal that may chain to this role, ExternalID the one it must send.
	Role       string
	ExternalID string
}

// AWS is STS, ECR and the reads of IAM. As an [http.Handler] it serves all of them, in every region, on one address.
type AWS struct {
	mu       sync.Mutex
	config   AWSConfig
	sessions map[string]*Session      // by access key id
	logins   map[string]RegistryLogin // by password
	secrets  []Secret
}

// A Session belongs to an access key.
type Session struct {
	AccessKeyID string
	Role        string // ARN
	Name        string
	Policy      string
	PolicyARNs  []string
	Tags        map[string]string // as the session sees them, inherited ones included
	Transitive  []string
	SourceID    string // source identity
	Expires     time.Time

	secretKey string
	token     string
}

// Principal is the session's ARN: the role's path does not appear in it.
func (s *Session) Principal() string {
	role, _ := parseRoleARN(s.Role)
	return "arn:" + role.partition + ":sts::" + role.account + ":assumed-role/" + role.name + "/" + s.Name
}

// NewAWS makes an AWS of its own, without sessions.
func NewAWS(config AWSConfig) *AWS {
	return &AWS{config: config, sessions: map[string]*Session{}, logins: map[string]RegistryLogin{}}
}

// Configure changes what exists. The function must keep nothing it is given.
func (a *AWS) Configure(change func(*AWSConfig)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.config)
}

// SetRole adds a role, or replaces the one of the same ARN.
func (a *AWS) SetRole(role Role) {
	a.Configure(func(c *AWSConfig) {
		c.Roles = slices.DeleteFunc(c.Roles, func(r Role) bool { return r.ARN == role.ARN })
		c.Roles = append(c.Roles, role)
	})
}

// Session is the session of an access key, if the key was handed out here.
func (a *AWS) Session(accessKeyID string) (Session, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	session, ok := a.sessions[accessKeyID]
	if !ok {
		return Session{}, false
	}
	return *session, true
}

// Secrets are the keys, tokens and passwords handed out so far.
func (a *AWS) Secrets() []Secret {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.secrets)
}

func (a *AWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	a.mu.Lock()
	defer a.mu.Unlock()

	if r.Header.Get("X-Amz-Target") != "" {
		a.serveECR(w, r, body)
		return
	}
	answer, failure := a.serveQuery(r, body)
	if failure != nil {
		writeAWSError(w, failure)
		return
	}
	writeXML(w, http.StatusOK, answer)
}

// serveQuery checks the envelope of the Query protocol, which STS and IAM share, and lets the action answer.
//
// Real STS takes GET as well, and tolerates parameters it does not know. The fake does not: the program has no reason to
// send either, and a token in a URL ends up in logs. [AWS STS API Reference, Making query requests]
func (a *AWS) serveQuery(r *http.Request, body []byte) (any, *awsError) {
	if r.URL.Path != "/" || r.URL.RawQuery != "" {
		return nil, &awsError{http.StatusNotFound, "InvalidAction", "The action or operation requested is invalid."}
	}
	if r.Method != http.MethodPost {
		return nil, &awsError{http.StatusMethodNotAllowed, "InvalidAction", "The action must be sent by POST."}
	}
	p, failure := parseQuery(r.Header.Get("Content-Type"), body)
	if failure != nil {
		return nil, failure
	}
	version := p.take("Version")
	if version == iamVersion {
		return a.serveIAM(r, body, p)
	}
	action := p.take("Action")
	if version != stsVersion {
		return nil, &awsError{http.StatusBadRequest, "InvalidAction",
			"Could not find operation " + action + " for version " + version}
	}
	switch action {
	case "AssumeRoleWithWebIdentity":
		return a.assumeRoleWithWebIdentity(r, p)
	case "AssumeRole":
		return a.assumeRole(r, body, p)
	case "GetCallerIdentity":
		return a.getCallerIdentity(r, body, p)
	}
	return nil, &awsError{http.StatusBadRequest, "InvalidAction",
		"Could not find operation " + action + " for version " + stsVersion}
}

func (a *AWS) now() time.Time {
	if a.config.Now != nil {
		return a.config.Now()
	}
	return time.Now()
}

// start makes the session of a call that was allowed.
func (a *AWS) start(session Session, lasts time.Duration) *Session {
	if a.config.Lifetime != 0 {
		lasts = a.config.Lifetime
	}
	session.AccessKeyID = newAccessKeyID()
	session.Expires = a.now().Add(lasts).Truncate(time.Second)
	session.secretKey = newSecretKey()
	session.token = newSessionToken()
	a.sessions[session.AccessKeyID] = &session
	a.secrets = append(a.secrets,
		Secret{AWSKeyID, session.AccessKeyID}, Secret{AWSKey, session.secretKey}, Secret{AWSKey, session.token})
	return &session
}

func (a *AWS) role(arn string) (Role, bool) {
	for _, role := range a.config.Roles {
		if role.ARN == arn {
			if role.MaxSession == 0 {
				role.MaxSession = defaultSession
			}
			return role, true
		}
	}
	return Role{}, false
}

func (t Trust) allows(action string) bool { return slices.Contains(t.Actions, action) }

// A roleARN is the ARN of a role in parts. The name comes last, after any path.
type roleARN struct{ partition, account, name string }

var roleARNPattern = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:[!-~]*/)?([\w+=,.@-]+)$`)

func parseRoleARN(arn string) (roleARN, bool) {
	m := roleARNPattern.FindStringSubmatch(arn)
	if m == nil {
		return roleARN{}, false
	}
	return roleARN{partition: m[1], account: m[2], name: m[3]}, true
}

// like is IAM's StringLike: `*` is any run of characters, `?` exactly one, nothing else is special.
func like(pattern, value string) bool {
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.ReplaceAll(quoted, `\*`, `(?s:.*)`)
	quoted = strings.ReplaceAll(quoted, `\?`, `(?s:.)`)
	return regexp.MustCompile(`\A` + quoted + `\z`).MatchString(value)
}

// credentialsXML is the Credentials element of both actions.
type credentialsXML struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

// userXML is the AssumedRoleUser element of both actions.
type userXML struct {
	AssumedRoleID string `xml:"AssumedRoleId"`
	Arn           string
}

// metadataXML closes every answer.
type metadataXML struct {
	RequestID string `xml:"RequestId"`
}

func (s *Session) credentials() credentialsXML {
	return credentialsXML{s.AccessKeyID, s.secretKey, s.token, s.Expires.UTC().Format("2006-01-02T15:04:05Z")}
}

func (s *Session) user() userXML {
	return userXML{AssumedRoleID: s.AssumedRoleID(), Arn: s.Principal()}
}

// AssumedRoleID is the role's id, which is not its name, and the session's name.
func (s *Session) AssumedRoleID() string { return roleID(s.Role) + ":" + s.Name }

func writeXML(w http.ResponseWriter, status int, v any) {
	body, err := xml.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("cloud: answer that is no XML: " + err.Error())
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", newRequestID())
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that left is the client's business
}
