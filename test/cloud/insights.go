package cloud

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Limits of Bitbucket's Code Insights. Its errors name those of annotations and of summaries.
const (
	mostAnnotations     = 1000
	mostAnnotationsPost = 100
	mostData            = 10
	mostSummary         = 450
	mostDetails         = 2000
)

// Insights is Bitbucket's proxy beside a step, with Code Insights behind it. It takes what Bitbucket takes and nothing else.
type Insights struct {
	*Server

	mu      sync.Mutex
	reports map[string]*insightsReport
}

type insightsReport struct {
	report      map[string]any
	annotations map[string]map[string]any
}

// StartInsights listens where a step finds the proxy: there can be one on a machine.
func StartInsights() (*Insights, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:29418")
	if err != nil {
		return nil, err
	}
	i := &Insights{reports: map[string]*insightsReport{}}
	i.Server = serveOn(listener, i)
	return i, nil
}

// Published is a report as Bitbucket has it, in JSON, and its annotations.
func (i *Insights) Published(id string) (report string, annotations []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	r, ok := i.reports[id]
	if !ok {
		return "", nil
	}
	data, _ := json.Marshal(r.report)
	for _, a := range r.annotations {
		one, _ := json.Marshal(a)
		annotations = append(annotations, string(one))
	}
	slices.Sort(annotations)
	return string(data), annotations
}

var insightsPath = regexp.MustCompile(`^/2\.0/repositories/([\w.-]+)/([\w.-]+)/commit/([0-9a-f]{40})/reports/([\w-]+)(/annotations)?$`)

// ServeHTTP answers as the proxy does: it is asked for the whole URL, over plain http, and adds the credential by itself.
func (i *Insights) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := insightsPath.FindStringSubmatch(r.URL.Path)
	switch {
	case r.URL.Scheme != "http" || r.URL.Host != "api.bitbucket.org":
		refuseInsights(w, "the proxy takes requests for http://api.bitbucket.org")
		return
	case r.Header.Get("Authorization") != "" || r.Header.Get("Proxy-Authorization") != "":
		refuseInsights(w, "the credential is the proxy's")
		return
	case m == nil || r.URL.RawQuery != "":
		http.NotFound(w, r)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	id := m[4]
	switch {
	case r.Method == http.MethodDelete && m[5] == "":
		delete(i.reports, id)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut && m[5] == "":
		var report map[string]any
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil || r.Header.Get("Content-Type") != "application/json" {
			refuseInsights(w, "The provided Report object is malformed or incomplete.")
			return
		}
		if wrong := wrongReport(report); wrong != "" {
			refuseInsights(w, wrong)
			return
		}
		if i.reports[id] == nil {
			i.reports[id] = &insightsReport{annotations: map[string]map[string]any{}}
		}
		i.reports[id].report = report
		w.WriteHeader(http.StatusOK)
	case r.Method == http.MethodPost && m[5] != "":
		i.annotate(w, r, id)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (i *Insights) annotate(w http.ResponseWriter, r *http.Request, id string) {
	var all []map[string]any
	report := i.reports[id]
	switch err := json.NewDecoder(r.Body).Decode(&all); {
	case report == nil:
		http.NotFound(w, r)
		return
	case err != nil || len(all) == 0:
		refuseInsights(w, "The provided annotations are malformed.")
		return
	case len(all) > mostAnnotationsPost:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"code": 400, "message": "Bulk upload supports a maximum of /100 annotations."}`)
		return
	}
	for _, a := range all {
		if wrong := wrongAnnotation(a); wrong != "" {
			refuseInsights(w, wrong)
			return
		}
		report.annotations[a["external_id"].(string)] = a
	}
	if len(report.annotations) > mostAnnotations {
		refuseInsights(w, "A report can have at most 1000 annotations.")
		return
	}
	w.WriteHeader(http.StatusOK)
}

func refuseInsights(w http.ResponseWriter, message string) {
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]any{"key": "report-service.general.bad-request", "message": message, "arguments": map[string]any{}})
}

func wrongReport(r map[string]any) string {
	data, _ := r["data"].([]any)
	switch {
	case !within(r["title"], 1, mostSummary), !within(r["details"], 1, mostDetails):
		return "The provided Report object is malformed or incomplete."
	case len(data) > mostData:
		return "A report can have at most 10 data fields."
	case !oneOf(r["report_type"], "SECURITY", "COVERAGE", "TEST", "BUG"), !oneOf(r["result"], "PASSED", "FAILED", "PENDING"):
		return "The provided Report object is malformed or incomplete."
	}
	return ""
}

func wrongAnnotation(a map[string]any) string {
	path, _ := a["path"].(string)
	line, numbered := a["line"].(float64)
	switch {
	case !within(a["summary"], 1, mostSummary):
		return "The summary field cannot contain more than 450 characters."
	case a["details"] != nil && !within(a["details"], 1, mostDetails), !within(a["external_id"], 1, mostSummary):
		return "The annotation is malformed."
	case strings.HasPrefix(path, "/"), strings.HasPrefix(path, "./"), strings.HasPrefix(path, "../"), numbered && line < 1:
		return "The path is not one of the repository."
	case !oneOf(a["annotation_type"], "VULNERABILITY", "CODE_SMELL", "BUG"), !oneOf(a["severity"], "CRITICAL", "HIGH", "MEDIUM", "LOW"),
		!oneOf(a["result"], "PASSED", "FAILED", "SKIPPED", "IGNORED", "PENDING"):
		return "The annotation is malformed."
	}
	return ""
}

func within(value any, least, most int) bool {
	s, ok := value.(string)
	n := utf8.RuneCountInString(s)
	return ok && n >= least && n <= most
}

func oneOf(value any, all ...string) bool {
	s, ok := value.(string)
	return ok && slices.Contains(all, s)
}
