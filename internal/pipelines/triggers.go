package pipelines

import (
	"strconv"
	"strings"
)

// triggered marks the custom pipelines that an event of a pull request starts.
func (w *walk) triggered(events *Fields) {
	if events == nil {
		return
	}
	for _, event := range events.all {
		if !strings.HasPrefix(event.Key.Value, "pullrequest-") || event.Key.Value == "pullrequest-fulfilled" {
			continue // what is fulfilled is merged, and so was reviewed
		}
		for _, rule := range w.items(event.Value) {
			for _, name := range w.texts(w.fields(rule).get("pipelines").Value) {
				w.markUnreviewed(name)
			}
		}
	}
}

// markUnreviewed marks the steps of a custom pipeline, and reports whether that changed anything.
func (w *walk) markUnreviewed(name string) bool {
	changed := false
	for i := range w.file.Steps {
		if s := &w.file.Steps[i]; s.Pipeline == "pipelines.custom["+strconv.Quote(name)+"]" && !s.PullRequest {
			s.PullRequest, changed = true, true
		}
	}
	return changed
}

// children marks the custom pipelines that steps of unreviewed pipelines start.
func (w *walk) children() {
	const deepest = 10
	for range deepest {
		changed := false
		for _, s := range w.file.Steps {
			if s.PullRequest && s.Child != "" && w.markUnreviewed(s.Child) {
				changed = true
			}
		}
		if !changed {
			return
		}
	}
}
