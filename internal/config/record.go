package config

import (
	"cmp"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
)

func recordVariables() []Variable {
	return []Variable{
		{Name: "RECORD_FILE", Peers: []string{"RECORD_PATH", "RECORDS_FILE"},
			Means: "Path of a file, relative to the build directory, that gets a line for each credential, refusal and logout. It cannot be in `OUTPUT_DIR`, so that it can be an artifact."},
		{Name: "RECORD_OTLP",
			Means: "Send the records to an OpenTelemetry collector: its base URL, or `true` for the one of the standard variables `OTEL_EXPORTER_OTLP_…`."},
		{Name: "RECORD_URL", Means: "Send the records to this URL, with one POST."},
		{Name: "RECORD_FORMAT", Default: "cloudevents", Means: "Format of what `RECORD_URL` gets: `cloudevents`, `splunk` (HTTP Event Collector), or `ocsf`."},
		{Name: "RECORD_AUTHORIZATION", Secret: true, Means: "Value of the header `Authorization` for `RECORD_URL`: a secured variable."},
		{Name: "RECORD_S3",
			Means: "Put the records into a bucket, one object for each login, signed with the AWS credential just obtained: `s3://BUCKET/PREFIX`."},
		{Name: "RECORD_S3_RETENTION", Means: "How long nobody can delete the object in `RECORD_S3` (Object Lock)."},
		{Name: "RECORD_REQUIRED", Guard: true, Default: "false", Peers: []string{"RECORDS_REQUIRED", "RECORD_MANDATORY"},
			Means: "Fail, and write nothing, if a record could not be delivered."},
		{Name: "RECORD_TIMEOUT", Default: "5s", Means: "Maximum time for sending the records. It is part of `TIMEOUT`."},
	}
}

// Record says where the records go. With the zero value they go nowhere.
type Record struct {
	File string // full path

	OTLP *OTLP
	S3   *S3

	URL           string
	Format        string // cloudevents, splunk or ocsf
	Authorization secret.Text

	Required bool
	Timeout  time.Duration
}

// OTLP is an OpenTelemetry collector.
type OTLP struct {
	URL     string // of its logs, /v1/logs included
	JSON    bool   // http/json instead of http/protobuf
	Gzip    bool
	Headers []Header

	// ServiceName and Attributes describe the resource that the records are about.
	ServiceName string
	Attributes  map[string]string

	// Authorities are trusted instead of the system's, if they are not nil.
	Authorities *x509.CertPool
}

// A Header of a request.
type Header struct {
	Name  string
	Value secret.Text
}

// S3 is where in a bucket the records go.
type S3 struct {
	Bucket, Prefix string // the prefix without a slash at its ends, or empty
	Retention      time.Duration

	Endpoint        string // base URL, or empty for AWS's own
	FIPS, DualStack bool   // of AWS's own endpoints
	Authorities     *x509.CertPool
}

// Sinks is how many places get the records.
func (r Record) Sinks() int {
	n := 0
	for _, asked := range []bool{r.File != "", r.OTLP != nil, r.URL != "", r.S3 != nil} {
		if asked {
			n++
		}
	}
	return n
}

// Record is what RECORD_… asks for. signedIn reports whether the login signs in to AWS.
func (v *Vars) Record(signedIn bool) Record {
	g := v.Group()
	r := Record{
		File: v.recordFile(), OTLP: v.otlp(), S3: v.s3(signedIn), URL: v.Text("RECORD_URL"), Format: v.Text("RECORD_FORMAT"),
		Authorization: v.Secret("RECORD_AUTHORIZATION"), Required: v.Boolean("RECORD_REQUIRED"),
		Timeout: v.Duration("RECORD_TIMEOUT", time.Millisecond, time.Hour),
	}
	if r.URL != "" {
		if err := transport.CheckURL(r.URL); err != nil {
			v.Reason("RECORD_URL", err, "a URL such as https://host.example.com/records (http is for loopback hosts only)")
		}
	} else {
		v.HalfConfigured("RECORD_URL", "RECORD_FORMAT", "RECORD_AUTHORIZATION")
	}
	if !slices.Contains([]string{"cloudevents", "splunk", "ocsf"}, r.Format) {
		v.Wrong("RECORD_FORMAT", r.Format, "cloudevents, splunk or ocsf")
	}
	if strings.ContainsFunc(r.Authorization.Reveal(), func(c rune) bool { return c < ' ' || c == 0x7f }) {
		v.Wrong("RECORD_AUTHORIZATION", r.Authorization.Reveal(), "the value of a header, on one line")
	}
	if r.Required && !g.Failed() && r.Sinks() == 0 {
		v.Add(hint.New("RECORD_REQUIRED: set without a place for the records", "set RECORD_FILE, RECORD_OTLP, RECORD_URL or RECORD_S3, or remove RECORD_REQUIRED"))
	}
	return r
}

// recordFile is the full path of RECORD_FILE, or empty.
func (v *Vars) recordFile() string {
	const name = "RECORD_FILE"
	path := v.inside(name)
	if path == "" {
		return ""
	}
	root := inBuildDir(v.CloneDir(), ".")
	if inside, err := filepath.Rel(inBuildDir(root, v.Text("OUTPUT_DIR")), path); err == nil && filepath.IsLocal(inside) {
		v.Add(hint.New(name+": in OUTPUT_DIR, which logout removes and no artifact may hold", "name a file elsewhere in the build directory"))
		return ""
	}
	for _, other := range []string{"GUARD_FILE", "GUARD_MAP"} {
		if v.IsSet(other) && inBuildDir(root, v.Text(other)) == path {
			v.Add(hint.New(name+": the file of "+other, "name a file that only records are written to"))
			return ""
		}
	}
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() || err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.Reason(name, errors.New("not a regular file"), "a file of records, or a name that nothing has yet")
		return ""
	}
	return path
}

// otlp is the collector of RECORD_OTLP, or nil. The standard variables are those of OpenTelemetry's specification, "OpenTelemetry
// Protocol Exporter"; the variables for logs win.
func (v *Vars) otlp() *OTLP {
	const name = "RECORD_OTLP"
	text := v.Text(name)
	if text == "" || v.isOdd(name) {
		return nil
	}
	o := &OTLP{}
	if on, err := parseBool(text); err != nil {
		o.URL = v.base(name, text)
	} else if !on {
		return nil
	} else if url := v.value("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"); url != "" {
		o.URL = v.collector("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", url)
	} else {
		const name = "OTEL_EXPORTER_OTLP_ENDPOINT"
		o.URL = v.base(name, cmp.Or(v.value(name), "http://localhost:4318"))
	}
	protocolName, protocol := v.standard("PROTOCOL")
	switch protocol {
	case "", "http/protobuf":
	case "http/json":
		o.JSON = true
	default:
		v.Add(hint.New(protocolName+": a protocol that the pipe does not speak", "set it to http/protobuf or http/json, and the endpoint to the collector's port for HTTP (4318)"))
	}
	headersName, headers := v.standard("HEADERS")
	for _, item := range split(headers) {
		key, value, ok := pair(item)
		if !ok || !charset.Only(key, charset.Word+"-", 1, 200) {
			v.Wrong(headersName, item, "name=value, the value encoded as in a URL")
			continue
		}
		o.Headers = append(o.Headers, Header{key, secret.New(value)})
	}
	v.otlpDetails(o)
	return o
}

// otlpDetails reads the variables that are seldom set. OTEL_EXPORTER_OTLP_TIMEOUT does not count: RECORD_TIMEOUT bounds every place.
func (v *Vars) otlpDetails(o *OTLP) {
	switch name, compression := v.standard("COMPRESSION"); compression {
	case "", "none":
	case "gzip":
		o.Gzip = true
	default:
		v.Wrong(name, compression, "gzip or none")
	}
	for _, end := range []string{"CLIENT_CERTIFICATE", "CLIENT_KEY"} {
		if name, value := v.standard(end); value != "" {
			v.Add(hint.New(name+": the pipe has no certificates of clients", "let the collector ask for a header instead, and put it into OTEL_EXPORTER_OTLP_HEADERS"))
		}
	}
	if name, file := v.standard("CERTIFICATE"); file != "" {
		o.Authorities = v.authorities(name, file)
	}
	o.ServiceName = v.value("OTEL_SERVICE_NAME")
	o.Attributes = map[string]string{}
	const attributes = "OTEL_RESOURCE_ATTRIBUTES"
	for _, item := range split(v.value(attributes)) {
		key, value, ok := pair(item)
		if !ok {
			v.Wrong(attributes, item, "name=value, the value encoded as in a URL")
			continue
		}
		o.Attributes[key] = value
	}
}

// standard is a variable of OpenTelemetry's: the one for logs, or else the general one.
func (v *Vars) standard(end string) (name, value string) {
	if value = v.value("OTEL_EXPORTER_OTLP_LOGS_" + end); value != "" {
		return "OTEL_EXPORTER_OTLP_LOGS_" + end, value
	}
	return "OTEL_EXPORTER_OTLP_" + end, v.value("OTEL_EXPORTER_OTLP_" + end)
}

func (v *Vars) collector(name, url string) string {
	if err := transport.CheckURL(url); err != nil {
		v.Reason(name, err, "true, false, or the URL of a collector such as https://collector.example.com:4318")
	}
	return url
}

// base is the address for logs at a collector with this base URL. If the URL is already that address, it stays.
func (v *Vars) base(name, url string) string {
	url = v.collector(name, url)
	if strings.Contains(url, "?") {
		v.Reason(name, errors.New("a URL with a query"), "the base URL of a collector such as https://collector.example.com:4318")
	}
	const logs = "/v1/logs"
	return strings.TrimSuffix(strings.TrimSuffix(url, "/"), logs) + logs
}

// s3 is the place of RECORD_S3, or nil.
func (v *Vars) s3(signedIn bool) *S3 {
	const name = "RECORD_S3"
	text := v.Text(name)
	if text == "" {
		v.HalfConfigured(name, "RECORD_S3_RETENTION")
		return nil
	}
	rest, ok := strings.CutPrefix(text, "s3://")
	bucket, prefix, _ := strings.Cut(rest, "/")
	prefix = strings.Trim(prefix, "/")
	dots := slices.ContainsFunc(strings.Split(prefix, "/"), func(part string) bool { return part == "." || part == ".." }) // proxies resolve them
	if !ok || dots || !charset.Only(bucket, charset.LowerName+".", 3, 63) || prefix != "" && !charset.Only(prefix, charset.Word+".=/-", 1, 500) {
		v.Wrong(name, text, "s3://BUCKET/PREFIX")
		return nil
	}
	if !signedIn {
		v.Add(hint.New(name+": set without a login to AWS, whose credential signs the request", "set AWS_OIDC_ROLE_ARN as well, or remove "+name))
	}
	authorities, _ := v.Authorities("AWS_CA_BUNDLE")
	return &S3{
		Bucket: bucket, Prefix: prefix, Retention: v.Seconds("RECORD_S3_RETENTION", time.Second, 100*365*24*time.Hour),
		Endpoint: cmp.Or(v.CheckEndpoint("AWS_ENDPOINT_URL_S3", v.value("AWS_ENDPOINT_URL_S3")), v.Endpoint("AWS_ENDPOINT_URL")),
		FIPS:     v.Boolean("AWS_USE_FIPS_ENDPOINT"), DualStack: v.Boolean("AWS_USE_DUALSTACK_ENDPOINT"), Authorities: authorities,
	}
}
