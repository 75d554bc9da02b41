package evidence

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	fast "github.com/segmentio/encoding/json"

	"bitbucket-oidc/internal/visible"
)

// A line is what a record's line says, as far as it is evidence.
type line struct {
	ClassUID   int    `json:"class_uid"`
	ActivityID int    `json:"activity_id"`
	Activity   string `json:"activity_name"`
	Time       int64  `json:"time"`
	StatusID   int    `json:"status_id"`
	Status     string `json:"status"`
	Code       string `json:"status_code"`
	Detail     string `json:"status_detail"`
	ActionID   int    `json:"action_id"`
	Decision   string `json:"disposition"`
	IsAlert    bool   `json:"is_alert"`
	Metadata   struct {
		UID         string `json:"uid"`
		EventCode   string `json:"event_code"`
		Correlation string `json:"correlation_uid"`
		Sequence    int    `json:"sequence"`
		Tenant      string `json:"tenant_uid"`
		LogName     string `json:"log_name"`
		Product     struct {
			Name    string `json:"name"`
			UID     string `json:"uid"`
			Version string `json:"version"`
			Feature struct {
				Name string `json:"name"`
			} `json:"feature"`
		} `json:"product"`
	} `json:"metadata"`
	Actor struct {
		AppUID string `json:"app_uid"`
		IDP    struct {
			Issuer string `json:"issuer"`
		} `json:"idp"`
		User struct {
			Name   string `json:"name"`
			UID    string `json:"uid"`
			UIDAlt string `json:"uid_alt"`
		} `json:"user"`
	} `json:"actor"`
	User struct {
		Name    string `json:"name"`
		UID     string `json:"uid"`
		Account struct {
			UID string `json:"uid"`
		} `json:"account"`
	} `json:"user"`
	Session struct {
		UID        string `json:"uid"`
		Credential string `json:"credential_uid"`
		Created    int64  `json:"created_time"`
		Expires    int64  `json:"expiration_time"`
		Reason     string `json:"expiration_reason"`
	} `json:"session"`
	Cloud struct {
		Provider string `json:"provider"`
		Region   string `json:"region"`
	} `json:"cloud"`
	API struct {
		Operation string `json:"operation"`
		Request   struct {
			UID string `json:"uid"`
		} `json:"request"`
	} `json:"api"`
	Policy *struct {
		Name    string `json:"name"`
		UID     string `json:"uid"`
		Version string `json:"version"`
		Applied bool   `json:"is_applied"`
	} `json:"policy"`
	Unmapped map[string]string `json:"unmapped"`
}

// most of what opens in a record: about 30 objects, and the braces of its UUIDs.
const mostOpen = 1000

// errMore is of a line that goes on behind its value, such as two records that were torn.
var errMore = errors.New("more than one value")

// parse reads a line, whose memory l's texts share, and reports whether it is a record.
func (l *line) parse(data []byte) bool {
	open := bytes.Count(data, []byte{'{'}) + bytes.Count(data, []byte{'['})
	err := l.read(data, open)
	if err != nil && open <= mostOpen {
		err = l.readNested(data)
	}
	return err == nil && l.isRecord()
}

func (l *line) isRecord() bool {
	return l.ClassUID == 3002 && l.Metadata.UID != "" && l.Time > 0 && l.ours()
}

func (l *line) read(data []byte, open int) error {
	known := l.Unmapped
	clear(known)
	*l = line{Unmapped: known}
	if open > mostOpen {
		return json.Unmarshal(data, l) // which bounds how deep values lie in one another
	}
	rest, err := fast.Parse(data, l, fast.ZeroCopy)
	if err == nil && len(rest) > 0 {
		return errMore
	}
	return err
}

// readNested reads a line that something on the way has given numbers and objects in unmapped, which this program writes as flat text.
func (l *line) readNested(data []byte) error {
	var nested struct {
		line
		Unmapped map[string]any `json:"unmapped"`
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&nested); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errMore
	}
	*l = nested.line
	l.Unmapped = map[string]string{}
	flatten(l.Unmapped, "", nested.Unmapped)
	return nil
}

// flatten joins the names of what lies in one another with dots.
func flatten(all map[string]string, before string, members map[string]any) {
	for name, value := range members {
		switch v := value.(type) {
		case map[string]any:
			flatten(all, before+name+".", v)
		case nil:
		default:
			all[before+name] = fmt.Sprint(v)
		}
	}
}

// ours reports whether a record is this program's, as far as it says whose it is: others write the class too.
func (l *line) ours() bool {
	m := &l.Metadata
	const name = "bitbucket-oidc"
	return m.Product.UID == name || m.Product.Name == name || m.LogName == name+".audit" || m.Product.UID == "" && m.Product.Name == "" && m.LogName == ""
}

// command is the name of the command that wrote a record.
func (l *line) command() string {
	if name := l.Metadata.Product.Feature.Name; name != "" || l.ActivityID != 2 {
		return name
	}
	return "logout" // which counts its records by itself
}

// columns are those of population.csv, samples.csv and, after the exception, exceptions.csv.
func columns() []string {
	return []string{
		"metadata.uid", "time", "event", "activity", "status", "disposition", "status_code", "status_detail",
		"workspace_uuid", "repository", "repository_uuid", "environment_uuid", "environment", "branch", "commit", "pull_request", "build",
		"triggerer_uuid", "pipeline_uuid", "step_uuid", "command", "sequence", "issuer", "subject", "audience", "token_sha256",
		"became_uid", "became_name", "account", "provider", "region", "chain", "session", "credential_id", "expires",
		"requested_seconds", "granted_seconds", "operation", "request_id",
		"policy", "policy_digest", "policy_commit", "policy_applied", "guardrails_failed", "version", "login_refused",
	}
}

// The columns that are read back.
const (
	timeColumn    = 1
	stepColumn    = 19
	commandColumn = 20
)

// row appends the cells.
func (l *line) row(cells []string) []string {
	u := l.Unmapped
	granted := ""
	if l.Session.Created > 0 && l.Session.Expires > 0 {
		granted = strconv.FormatInt((l.Session.Expires-l.Session.Created+500)/1000, 10)
	}
	policy := [4]string{}
	if p := l.Policy; p != nil {
		policy = [4]string{p.Name, p.UID, p.Version, strconv.FormatBool(p.Applied)}
	}
	branch := u["token.branch"] // which Bitbucket signed
	if branch == "" {
		branch = u["bitbucket.branch"]
	}
	return append(cells,
		l.Metadata.UID, stamp(l.Time), l.Metadata.EventCode, l.Activity, l.Status, l.Decision, l.Code, l.Detail,
		l.Metadata.Tenant, l.Actor.User.Name, l.Actor.User.UIDAlt, u["token.deployment_environment_uuid"], u["bitbucket.deployment_environment"],
		branch, u["bitbucket.commit"], u["bitbucket.pull_request"], u["bitbucket.build_number"],
		u["bitbucket.step_triggerer_uuid"], l.Actor.AppUID, l.Metadata.Correlation, l.Metadata.Product.Feature.Name,
		strconv.Itoa(l.Metadata.Sequence), l.Actor.IDP.Issuer, l.Actor.User.UID, u["token.audience"], u["token.sha256"],
		l.User.UID, l.User.Name, l.User.Account.UID, l.Cloud.Provider, l.Cloud.Region, u["aws.chain"], l.Session.UID, l.Session.Credential,
		stamp(l.Session.Expires), u["requested.duration"], granted, l.API.Operation, l.API.Request.UID,
		policy[0], policy[1], policy[2], policy[3], strings.Join(l.failed(), " "), l.Metadata.Product.Version,
		u["login.refused"])
}

// failed are the guardrails that were broken.
func (l *line) failed() []string {
	var names []string
	for key, outcome := range l.Unmapped {
		if name, ok := strings.CutPrefix(key, "guard."); ok && (outcome == "fail" || outcome == "error") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// odd is what an auditor asks about, as far as the record alone tells.
func (l *line) odd() exception {
	var e exception
	granted := l.StatusID == 1 && l.ActivityID == 1
	switch {
	case l.Metadata.EventCode == "guardrail.denied":
		e |= denied
	case l.StatusID != 1 && l.ActivityID == 2:
		e |= notRevoked
	case l.StatusID != 1:
		e |= refused
	}
	if granted && len(l.failed()) > 0 && l.Unmapped["login.refused"] != "true" {
		e |= notEnforced
	}
	if granted && l.Policy != nil && !l.Policy.Applied {
		e |= notApplied
	}
	const slack = 60 // between the cloud's clock and the runner's
	asked, err := strconv.ParseInt(l.Unmapped["requested.duration"], 10, 64)
	if granted && err == nil && l.Session.Created > 0 && (l.Session.Expires-l.Session.Created)/1000 > asked+slack {
		e |= longer
	}
	return e
}

// stamp is a time in UTC, with milliseconds; empty if there is none.
func stamp(millis int64) string {
	if millis <= 0 {
		return ""
	}
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000Z")
}

// encode is a row of CSV.
func encode(b *bytes.Buffer, cells []string) {
	w := csv.NewWriter(b)
	_ = w.Write(defused(cells)) // into memory
	w.Flush()
}

// defused changes cells in their place: one that a spreadsheet would run begins with an apostrophe, and what does not print is made
// visible.
func defused(cells []string) []string {
	for i, cell := range cells {
		cells[i] = defuse(cell)
	}
	return cells
}

func defuse(cell string) string {
	cell = visible.Text(cell)
	if first, _ := utf8.DecodeRuneInString(strings.TrimLeft(cell, " ")); strings.ContainsRune("=+-@＝＋－＠", first) { // the wide ones run in Japan
		return "'" + cell
	}
	return cell
}
