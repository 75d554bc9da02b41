package record

import (
	"bytes"
	"encoding/json"
)

// schemaVersion is the oldest OCSF with all that a record says (user.type_id 4 is new in it). The same bytes are valid in 1.7 to 1.9.
const schemaVersion = "1.6.0"

// An Event is one line: an event of OCSF's class 3002, Authentication. Times are milliseconds since 1970. The captions beside the
// numbers (status beside status_id) are the schema's own words.
//
// Source: https://schema.ocsf.io/1.6.0/classes/authentication
type Event struct {
	ActivityID   int    `json:"activity_id"`
	ActivityName string `json:"activity_name"`
	CategoryUID  int    `json:"category_uid"`
	CategoryName string `json:"category_name"`
	ClassUID     int    `json:"class_uid"`
	ClassName    string `json:"class_name"`
	TypeUID      int    `json:"type_uid"`
	TypeName     string `json:"type_name"`
	SeverityID   int    `json:"severity_id"`
	Severity     string `json:"severity"`

	Time           int64  `json:"time"` // of the decision
	TimezoneOffset int    `json:"timezone_offset"`
	Duration       *int64 `json:"duration,omitempty"` // of the exchange, in milliseconds

	StatusID      int    `json:"status_id"`
	Status        string `json:"status"`
	StatusCode    string `json:"status_code,omitempty"`
	StatusDetail  string `json:"status_detail,omitempty"`
	ActionID      int    `json:"action_id"`
	Action        string `json:"action"`
	DispositionID int    `json:"disposition_id"`
	Disposition   string `json:"disposition"`
	IsAlert       bool   `json:"is_alert"`
	Message       string `json:"message"`

	Metadata Metadata            `json:"metadata"`
	Actor    Actor               `json:"actor"` // the step
	Token    AuthenticationToken `json:"authentication_token,omitzero"`

	AuthProtocolID int    `json:"auth_protocol_id"`
	AuthProtocol   string `json:"auth_protocol"`
	LogonTypeID    int    `json:"logon_type_id"`
	LogonType      string `json:"logon_type"`
	IsRemote       bool   `json:"is_remote"`
	IsMFA          bool   `json:"is_mfa"`
	IsNewLogon     bool   `json:"is_new_logon"`

	User        User      `json:"user"` // who the step became, or would have become
	Service     Named     `json:"service"`
	DstEndpoint *Endpoint `json:"dst_endpoint,omitempty"`
	Session     *Session  `json:"session,omitempty"`

	// Of the profile cloud.
	Cloud *Cloud `json:"cloud,omitempty"`
	API   *API   `json:"api,omitempty"`

	// Of the profile security_control.
	Policy         *Policy         `json:"policy,omitempty"`
	Authorizations []Authorization `json:"authorizations,omitempty"`
	FirewallRule   *Rule           `json:"firewall_rule,omitempty"`

	// Unmapped is flat, because Security Lake's column is a map from text to text.
	Unmapped    map[string]string `json:"unmapped,omitempty"`
	Observables []Observable      `json:"observables"`
}

// Metadata is the record about itself.
type Metadata struct {
	Version        string   `json:"version"` // of the schema
	UID            string   `json:"uid"`     // of the record: a UUID of version 7
	EventCode      string   `json:"event_code"`
	LogName        string   `json:"log_name"`
	LogProvider    string   `json:"log_provider"`
	CorrelationUID string   `json:"correlation_uid,omitempty"` // the step's UUID: joins what one step did
	Sequence       int      `json:"sequence"`                  // within a command, from 1
	TenantUID      string   `json:"tenant_uid,omitempty"`      // the workspace's UUID
	LoggedTime     int64    `json:"logged_time"`
	Profiles       []string `json:"profiles"` // without them, what belongs to a profile is unknown to a validator
	Product        Product  `json:"product"`
}

// Product is this program.
type Product struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
	UID        string `json:"uid"`
	Version    string `json:"version,omitempty"`
	Feature    Named  `json:"feature"` // the command
}

// Actor is who acts: the step, as Bitbucket's token states it.
type Actor struct {
	AppName string   `json:"app_name"`
	AppUID  string   `json:"app_uid,omitempty"` // the pipeline's UUID
	IDP     *IDP     `json:"idp,omitempty"`
	User    *User    `json:"user,omitempty"`
	Session *Session `json:"session,omitempty"`
}

// IDP is who signed the token.
type IDP struct {
	Name         string `json:"name"`
	UID          string `json:"uid"`
	Issuer       string `json:"issuer"`
	ProtocolName string `json:"protocol_name"`
}

// User is an identity: the step's, or the one it became.
type User struct {
	TypeID    int           `json:"type_id"`
	Type      string        `json:"type"`
	Name      string        `json:"name,omitempty"`
	UID       string        `json:"uid,omitempty"`
	UIDAlt    string        `json:"uid_alt,omitempty"`
	EmailAddr string        `json:"email_addr,omitempty"`
	Account   *Account      `json:"account,omitempty"`
	Org       *Organization `json:"org,omitempty"`
}

// Account is a cloud's account or project.
type Account struct {
	UID    string `json:"uid"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
}

// Organization is a workspace.
type Organization struct {
	Name string `json:"name,omitempty"`
	UID  string `json:"uid,omitempty"`
}

// Session is what was handed out, or on the actor's side the step.
type Session struct {
	UID              string `json:"uid,omitempty"`
	UIDAlt           string `json:"uid_alt,omitempty"`
	CredentialUID    string `json:"credential_uid,omitempty"` // the access key's id, which CloudTrail shows as well; never a key
	Issuer           string `json:"issuer,omitempty"`
	CreatedTime      int64  `json:"created_time,omitempty"`
	ExpirationTime   int64  `json:"expiration_time,omitempty"`
	ExpirationReason string `json:"expiration_reason,omitempty"`
	IsRemote         bool   `json:"is_remote"`
}

// AuthenticationToken is the step's token without the token: OCSF has no place for its hash before 1.8, which is in Unmapped.
type AuthenticationToken struct {
	TypeID         int    `json:"type_id"`
	Type           string `json:"type"`
	CreatedTime    int64  `json:"created_time,omitempty"`
	ExpirationTime int64  `json:"expiration_time,omitempty"`
	IsRenewable    bool   `json:"is_renewable"`
}

// Endpoint is the host that received the token.
type Endpoint struct {
	Hostname string `json:"hostname"`
	Port     int    `json:"port,omitempty"`
}

// Named is anything that has only a name.
type Named struct {
	Name string `json:"name"`
}

// Cloud is the provider that gave or refused the credential.
type Cloud struct {
	Provider  string   `json:"provider"`
	Region    string   `json:"region,omitempty"`
	Account   *Account `json:"account,omitempty"`
	Partition string   `json:"cloud_partition,omitempty"`
}

// API is the cloud's call that decided.
type API struct {
	Operation string    `json:"operation"`
	Version   string    `json:"version,omitempty"` // of the service's interface
	Service   Named     `json:"service"`
	Request   *Request  `json:"request,omitempty"` // left out without an id, which the schema requires
	Response  *Response `json:"response,omitempty"`
}

// Request is named by the id that the cloud's own log has.
type Request struct {
	UID string `json:"uid"`
}

// Response is how the cloud answered.
type Response struct {
	Code         int    `json:"code,omitempty"`
	Error        string `json:"error,omitempty"`
	ErrorMessage string `json:"error_message,omitempty"` // this program's words: a cloud's answer is not copied
	Message      string `json:"message,omitempty"`       // HTTP's name of the code
}

// Policy is a file of guardrails.
type Policy struct {
	Name      string `json:"name"`
	UID       string `json:"uid"`               // sha256: and the digest of what was judged by
	Version   string `json:"version,omitempty"` // the commit; empty for a file that the image has
	IsApplied bool   `json:"is_applied"`
}

// Authorization is what one policy decided.
type Authorization struct {
	Decision string `json:"decision"`
	Policy   Policy `json:"policy"`
}

// Rule is the guardrail that refused.
type Rule struct {
	Name    string `json:"name"`
	UID     string `json:"uid,omitempty"`
	Version string `json:"version,omitempty"`
}

// Observable names what a search looks for.
type Observable struct {
	Name   string `json:"name"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
	Value  string `json:"value,omitempty"`
}

// Line is the event as one line of JSON, without the line break.
func (e Event) Line() []byte {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false) // people search for what they read
	_ = enc.Encode(e)        // cannot fail: texts, numbers and lists of them; what is not UTF-8 is replaced
	return bytes.TrimSuffix(line.Bytes(), []byte("\n"))
}
